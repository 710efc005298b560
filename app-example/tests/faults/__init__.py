"""The service with the faults of a real day: its neighbours end while clients ask."""
