"""Accounts, tokens, and who may call what."""
