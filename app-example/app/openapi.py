"""`python -m app.openapi [FILE]`: the API description as a document.

Owns the contract that a release publishes, since production serves none. The same code gives the same bytes in any
environment. Deliberately no judgement of changes: `tests/test_openapi.py` compares with the last release.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fastapi_platform_runtime.engine import DRIVER, EngineSettings
from sqlalchemy import URL

from app.main import create_app
from app.settings import Environment, Settings

USAGE_FAILURE = 2


def document() -> str:
    """Return the description; reads no environment."""
    # Not validated: that reads the variables which it is not given.
    database = EngineSettings(url=URL.create(DRIVER))
    settings = Settings.model_construct(environment=Environment.LOCAL, database=database)
    return json.dumps(create_app(settings).openapi(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the document to a file, or to standard output."""
    match arguments:
        case []:
            sys.stdout.write(document())
        case [name]:
            Path(name).write_text(document(), encoding="utf-8")
        case _:
            sys.stderr.write("usage: python -m app.openapi [FILE]\n")
            return USAGE_FAILURE
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
