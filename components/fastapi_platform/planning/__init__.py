"""Pure arithmetic: what a platform needs to know before any resource exists.

Owns names, labels, quantities, timings and the errors that refuse a bad plan. Deliberately imports no Pulumi, reads
no clock and no environment, so that settings, components, rules and reports can share one calculation.
"""
