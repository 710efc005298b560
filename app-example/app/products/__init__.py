"""The catalogue: one for the whole shop, read by everybody, written by administrators."""
