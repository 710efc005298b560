"""HTTP interface of the catalogue, version 1.

Owns paths, statuses and headers. Deliberately decides nothing: each endpoint makes one call to the service. Reading is
public and the same for everybody, so that shared caches can answer.
"""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response

from app.auth.identity import current_admin
from app.errors import PROBLEM_RESPONSES
from app.pagination import Page
from app.products.caching import IF_NONE_MATCH, cacheable
from app.products.schemas import SKU_PATTERN, ProductPage, ProductRead, ProductWrite
from app.products.service import Products

router = APIRouter(prefix="/v1/products", tags=["products"], responses=PROBLEM_RESPONSES)

Sku = Annotated[str, Path(max_length=64, pattern=SKU_PATTERN, description="Stock-keeping unit.")]
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already."}}


@router.get("", response_model=ProductPage, responses=_NOT_MODIFIED, openapi_extra=IF_NONE_MATCH)
async def list_products(page: Page, products: Products, request: Request) -> Response:
    """Return a page of products, the newest first."""
    return cacheable(await products.page(page), request)


@router.get("/{sku}", response_model=ProductRead, responses=_NOT_MODIFIED, openapi_extra=IF_NONE_MATCH)
async def read_product(sku: Sku, products: Products, request: Request) -> Response:
    """Return one product."""
    product = await products.find(sku)
    if product is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, detail="There is no product with this SKU.")
    return cacheable(product, request)


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
