"""Tests of the service, as its clients and its platform see it."""
