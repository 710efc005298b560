"""What the platform and a FastAPI image agree on, from the image's side.

Owns nothing itself: import `drain`, `health` or `engine`, or run `serve` or `migrate` with `python -m`. Deliberately
imports none of them here, so that a server pays for no database driver and a migration for no server.
"""
