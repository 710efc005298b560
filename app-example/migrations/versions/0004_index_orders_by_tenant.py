"""Index orders by tenant.

Expand: what the previous release needs stays, so that it can run on this schema. There is no downgrade.

Alone in its revision and built concurrently: nobody waits, and a build that was ended begins anew.
"""

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
phase = "expand"

INDEX = "ix_orders_tenant_id_created_at_id"


def upgrade() -> None:
    """Build the index that lists walk along."""
    with op.get_context().autocommit_block():
        # A build that was ended leaves an index that is not valid.
        op.drop_index(op.f(INDEX), "orders", if_exists=True, postgresql_concurrently=True)
        op.create_index(op.f(INDEX), "orders", ["tenant_id", "created_at", "id"], postgresql_concurrently=True)
