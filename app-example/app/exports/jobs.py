"""Names of the jobs, as they are in messages: whoever announces and whoever does them must agree.

Deliberately apart from both: a request that asks for an export loads nothing of what does it.
"""

RUN = "exports.run"
NOTIFY = "exports.notify"
