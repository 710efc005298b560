"""Files that belong to an order."""
