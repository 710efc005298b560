"""What one can do with the catalogue.

Owns the rules, where a transaction begins and ends, and what is cached. Deliberately knows neither HTTP nor SQL.
"""

from typing import Annotated, TypeAlias

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.cache import Cache, Entry
from app.database import Database
from app.pagination import MAX_LIMIT, Cursor, PageQuery, cut
from app.products.repository import ProductRepository
from app.products.schemas import ProductPage, ProductRead, ProductWrite

PRODUCT = Entry("product", ProductRead, life_seconds=300)
FIRST_PAGE = Entry("products", ProductPage, life_seconds=300)
"""The page that everybody asks for, as long as a page can be; later ones are read: any cursor is a valid request."""


Sessions: TypeAlias = "async_sessionmaker[AsyncSession]"


class ProductService:
    """The catalogue, for the length of one request."""

    def __init__(self, sessions: Sessions, cache: Cache) -> None:
        """Open a session only where the cache has no answer: most requests need none."""
        self._sessions = sessions
        self._cache = cache

    async def find(self, sku: str) -> ProductRead | None:
        """Return a product, or None where there is no such SKU."""

        async def load() -> ProductRead | None:
            # A transaction of its own: the connection goes back before the cache is filled.
            async with self._sessions.begin() as session:
                product = await ProductRepository(session).get(sku)
            return None if product is None else ProductRead.model_validate(product)

        return await self._cache.get_or_load(PRODUCT.of_shop(sku), load)

    async def page(self, query: PageQuery) -> ProductPage:
        """Return one page of products, the newest first."""
        if query.after is not None:
            return await self._load_page(query.after, query.limit)

        async def load() -> ProductPage:
            return await self._load_page(None, MAX_LIMIT)

        first = await self._cache.get_or_load(FIRST_PAGE.of_shop(), load)
        shown, next_after = cut(first.items, query.limit)
        return ProductPage(items=shown, next_after=next_after or first.next_after)

    async def put(self, sku: str, request: ProductWrite) -> tuple[ProductRead, bool]:
        """Store a product; returns it, and whether it is new. Committed when this returns."""
        async with self._sessions.begin() as session:
            products = ProductRepository(session)
            product, is_new = await products.put(sku, name=request.name, price_cents=request.price_cents)
        await self._cache.forget(PRODUCT.of_shop(sku), FIRST_PAGE.of_shop())
        return ProductRead.model_validate(product), is_new

    async def _load_page(self, after: Cursor | None, limit: int) -> ProductPage:
        async with self._sessions.begin() as session:
            products = await ProductRepository(session).newest(after=after, limit=limit + 1)
        shown, next_after = cut([ProductRead.model_validate(product) for product in products], limit)
        return ProductPage(items=shown, next_after=next_after)


async def product_service(request: Request) -> ProductService:
    """Provide the service to an endpoint; in one step, because each dependency of a dependency costs every request."""
    database: Database = request.state.database
    cache: Cache = request.state.cache
    return ProductService(database.sessions, cache)


Products = Annotated[ProductService, Depends(product_service)]
