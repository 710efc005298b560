"""The rules, one module a subject; `catalog.py` lists them all."""
