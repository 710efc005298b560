"""Statements of the catalogue.

Owns all SQL about products. Deliberately neither commits nor knows about HTTP.
"""

from collections.abc import Sequence

from sqlalchemy import Boolean, func, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.pagination import Cursor
from app.products.models import Product


class ProductRepository:
    """Products in one session."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session

    async def get(self, sku: str) -> Product | None:
        """Return a product, or None where there is no such SKU."""
        return await self._session.scalar(select(Product).where(Product.sku == sku))

    async def newest(self, *, after: Cursor | None, limit: int) -> Sequence[Product]:
        """Return at most `limit` products, the newest first, from behind the cursor on."""
        statement = select(Product).order_by(Product.created_at.desc(), Product.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(Product.created_at, Product.id) < (after.created_at, after.id))
        return (await self._session.scalars(statement)).all()

    async def put(self, sku: str, *, name: str, price_cents: int) -> tuple[Product, bool]:
        """Store a product under its SKU; returns it, and whether it is new."""
        values = {"name": name, "price_cents": price_cents, "updated_at": func.now()}
        # A row that no transaction has replaced yet was inserted by this statement.
        is_new = literal_column("products.xmax = 0", Boolean).label("is_new")
        statement = (
            insert(Product)
            .values(sku=sku, **values)
            .on_conflict_do_update(index_elements=["sku"], set_=values)
            .returning(Product, is_new)
        )
        product, new = (await self._session.execute(statement)).one()
        return product, new
