"""Add products, the owners of orders, and records of requests.

Expand: what the previous release needs stays, so that it can run on this schema. There is no downgrade.

The previous release goes on inserting orders without the new columns. Those that must have a value get one from a
constant default, which Postgres keeps once in the catalogue instead of writing every row; the models have no such
default, so that this release cannot forget to say whose an order is. Constraints on the table are not valid yet: they
hold for new rows, and 0006 looks at the old ones without keeping anybody waiting. A later contract, when the previous
release is gone, drops the defaults, `ix_orders_created_at_id`, and null as a product.
Source: https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
phase = "expand"

NOBODY = sa.text("'00000000-0000-0000-0000-000000000000'")
"""Tenant and user of orders from before there were any; an owner is assigned by hand, as nothing tells who it was."""


def upgrade() -> None:
    """Create tables and columns."""
    _create_products()
    _create_idempotency_records()
    op.add_column("orders", sa.Column("tenant_id", sa.Uuid(), server_default=NOBODY, nullable=False))
    op.add_column("orders", sa.Column("created_by", sa.Uuid(), server_default=NOBODY, nullable=False))
    op.add_column("orders", sa.Column("product_id", sa.Uuid(), nullable=True))
    op.add_column("orders", sa.Column("status", sa.String(16), server_default="placed", nullable=False))
    op.create_foreign_key(
        op.f("fk_orders_product_id_products"),
        "orders",
        "products",
        ["product_id"],
        ["id"],
        postgresql_not_valid=True,
    )
    op.create_check_constraint(
        op.f("ck_orders_status_known"),
        "orders",
        "status IN ('placed', 'shipped', 'cancelled')",
        postgresql_not_valid=True,
    )


def _create_products() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sku", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("price_cents", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("price_cents >= 0", name=op.f("ck_products_price_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("sku", name=op.f("uq_products_sku")),
    )
    op.create_index(op.f("ix_products_created_at_id"), "products", ["created_at", "id"])


def _create_idempotency_records() -> None:
    op.create_table(
        "idempotency_records",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("operation", sa.String(200), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "operation", "key", name=op.f("pk_idempotency_records")),
    )
    op.create_index(op.f("ix_idempotency_records_expires_at"), "idempotency_records", ["expires_at"])
