"""How often the routes of accounts may be called.

Owns the numbers, by address and by account. Those by account hold for names without an account too, and count
successes: whoever is kept out by somebody else's attempts stays signed in and is let in again after the window.
Deliberately no limit of a refresh by account: a refresh token cannot be guessed. Counting is `app.rate_limits`.
"""

from limits import parse

from app.rate_limits import Rule

REGISTER_BY_ADDRESS = Rule("register by address", parse("10 per hour"))
REGISTER_BY_ACCOUNT = Rule("register by account", parse("5 per hour"))
SIGN_IN_BY_ADDRESS = Rule("sign in by address", parse("30 per minute"))
SIGN_IN_BY_ACCOUNT = Rule("sign in by account", parse("10 per 15 minutes"))
REFRESH_BY_ADDRESS = Rule("refresh by address", parse("60 per minute"))
RESET_BY_ADDRESS = Rule("reset by address", parse("10 per hour"))
RESET_BY_ACCOUNT = Rule("reset by account", parse("3 per hour"))
CONFIRM_BY_ADDRESS = Rule("confirm reset by address", parse("10 per 15 minutes"))
