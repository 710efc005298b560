"""Link old orders to products.

Backfill: every statement commits by itself and can be repeated. There is no downgrade.
"""

from alembic import op
from fastapi_platform_runtime.backfill import in_batches

revision: str = "0005"
down_revision: str | None = "0004"
phase = "backfill"

PRODUCTS = """
    INSERT INTO products (id, sku, name) SELECT gen_random_uuid(), sku, sku FROM (SELECT DISTINCT sku FROM orders) AS o
    ON CONFLICT DO NOTHING
"""
"""A product for each SKU that was ever ordered, named after it and without a price."""
KNOWN = "FROM products WHERE products.sku = orders.sku"


def upgrade() -> None:
    """Fill in products, then the orders' references to them."""
    op.execute(PRODUCTS)
    # The previous release may order something new meanwhile: that has no product, and is left alone.
    unlinked = f"product_id IS NULL AND EXISTS (SELECT {KNOWN})"
    in_batches("orders", set_=f"product_id = (SELECT products.id {KNOWN})", where=unlinked)
