"""Exports of a tenant's orders: work that is too long for a request."""
