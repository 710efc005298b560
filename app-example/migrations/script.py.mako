"""${message}.

Expand adds; what the previous release needs stays, so that it can run on this schema. There is no downgrade.
"""
${imports if imports else ""}
import sqlalchemy as sa
from alembic import op

revision: str = "${up_revision}"
down_revision: str | None = ${f'"{down_revision}"' if down_revision else None}
phase = "expand"


def upgrade() -> None:
    """${message}."""
    ${upgrades if upgrades else "pass"}
