"""Why a stack does not come up: what its cluster says, reduced to causes.

Owns the way from observed objects to findings; every step but `ask` is a pure function of them. Deliberately changes
nothing in a cluster, and reads no Secret: what is wrong with one stands in the events of whatever needs it.
"""
