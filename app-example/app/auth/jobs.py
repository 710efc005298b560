"""Names of the jobs, as they are in messages: whoever announces and whoever does them must agree.

Deliberately apart from both: a request that asks for a reset loads nothing of what hands its message over.
"""

RESET = "auth.reset"
