"""Create attachments and exports.

Expand: what the previous release needs stays, so that it can run on this schema. There is no downgrade.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
phase = "expand"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create both tables and the indexes that lists and sweeps walk along."""
    _attachments()
    _exports()


def _attachments() -> None:
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_attachments_size_positive")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_attachments_order_id_orders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
    )
    op.create_index(op.f("ix_attachments_order_id_created_at_id"), "attachments", ["order_id", "created_at", "id"])


def _exports() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("available_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("announced_at", TIME, server_default=sa.func.now(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("leased_until", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.String(32), nullable=True),
        sa.Column("notify_after", TIME, nullable=True),
        sa.Column("notify_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_exports_status_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    for name, column, rows in (
        ("ix_exports_open", "tenant_id", "status IN ('queued', 'running')"),
        ("ix_exports_to_notify", "notify_after", "notify_after IS NOT NULL"),
        ("ix_exports_finished_at", "finished_at", "finished_at IS NOT NULL"),
    ):
        op.create_index(name, "exports", [column], postgresql_where=sa.text(rows))
