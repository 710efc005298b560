"""HTTP interface of the catalogue, version 1.

Owns paths, statuses and headers. Deliberately decides nothing: each endpoint makes one call to the service. Reading is
public and the same for everybody, so that shared caches can answer.
"""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Response

from app.auth.identity import current_admin
from app.errors import PROBLEM_RESPONSES
from app.pagination import Page
from app.products.caching import cacheable
from app.products.schemas import SKU_PATTERN, ProductPage, ProductRead, ProductWrite
from app.products.service import Products

router = APIRouter(prefix="/v1/products", tags=["products"], responses=PROBLEM_RESPONSES)

Sku = Annotated[str, Path(max_length=64, pattern=SKU_PATTERN, description="Stock-keeping unit.")]
IfNoneMatch = Annotated[str | None, Header(max_length=1024, description="Validators of what the client has.")]
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already."}}


@router.get("", response_model=ProductPage, responses=_NOT_MODIFIED)
async def list_products(page: Page, products: Products, if_none_match: IfNoneMatch = None) -> Response:
    """Return a page of products, the newest first."""
    return cacheable(await products.page(page), if_none_match)


@router.get("/{sku}", response_model=ProductRead, responses=_NOT_MODIFIED)
async def read_product(sku: Sku, products: Products, if_none_match: IfNoneMatch = None) -> Response:
    """Return one product."""
    product = await products.find(sku)
    if product is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, detail="There is no product with this SKU.")
    return cacheable(product, if_none_match)


@router.put(
    "/{sku}",
    dependencies=[Depends(current_admin)],
    responses={201: {"description": "The product is new.", "model": ProductRead}},
)
async def put_product(sku: Sku, body: ProductWrite, products: Products, response: Response) -> ProductRead:
    """Store a product, new or changed."""
    product, is_new = await products.put(sku, body)
    if is_new:
        response.status_code = HTTPStatus.CREATED
    return product
