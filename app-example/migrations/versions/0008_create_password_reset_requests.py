"""Create password reset requests.

Expand: what the previous release needs stays, so that it can run on this schema. There is no downgrade.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
phase = "expand"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table; it holds what the workers have not done yet, which is a row or two."""
    op.create_table(
        "password_reset_requests",
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("due_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("announced_at", TIME, server_default=sa.func.now(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_password_reset_requests")),
        sa.UniqueConstraint("id", name=op.f("uq_password_reset_requests_id")),
    )
