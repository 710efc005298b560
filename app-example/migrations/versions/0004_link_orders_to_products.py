"""Link old orders to products, and index orders by tenant.

Backfill: every statement commits by itself and can be repeated. There is no downgrade.
"""

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
phase = "backfill"
lint_ignore = {"cannot-be-judged-offline": "the loop updates 1,000 rows at a time and commits after each"}

INDEX = "ix_orders_tenant_id_created_at_id"
PRODUCTS = """
    INSERT INTO products (id, sku, name) SELECT gen_random_uuid(), sku, sku FROM (SELECT DISTINCT sku FROM orders) AS o
    ON CONFLICT DO NOTHING
"""
# In batches: one statement would keep a version of every row, and their locks, until its end.
LINKS = """
    DO $$
    BEGIN
        LOOP
            UPDATE orders SET product_id = products.id FROM products
            WHERE products.sku = orders.sku AND orders.id IN (
                SELECT id FROM orders AS o WHERE product_id IS NULL
                AND EXISTS (SELECT FROM products WHERE products.sku = o.sku) LIMIT 1000
            );
            EXIT WHEN NOT FOUND;
            COMMIT;
        END LOOP;
    END $$
"""


def upgrade() -> None:
    """Build the index beside the traffic, then fill and validate."""
    # A build that failed leaves an index that is not valid.
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
    op.create_index(op.f(INDEX), "orders", ["tenant_id", "created_at", "id"], postgresql_concurrently=True)
    op.execute(PRODUCTS)
    op.execute(LINKS)
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT fk_orders_product_id_products")
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_status_known")
