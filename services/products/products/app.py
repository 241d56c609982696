"""The HTTP API. Errors are problem details (RFC 9457)."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from products.config import Config
from products.database import Product, connect
from products.observe import Metrics, Observe

log = logging.getLogger("products.app")

PAGE_PRODUCTS_MAX = 100
ID_MAX = 2**31 - 1


class ProductFields(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=5_000)
    price_cents: int = Field(ge=0, le=100_000_000)
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$")
    stock: int = Field(default=0, ge=0, le=1_000_000)


class NewProduct(ProductFields):
    sku: str = Field(pattern="^[A-Z0-9][A-Z0-9-]{0,39}$")


class ProductChange(ProductFields):
    """A merge patch: a field that is left out stays as it is."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    price_cents: int | None = Field(default=None, ge=0, le=100_000_000)


class ProductView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    sku: str
    name: str
    description: str
    price_cents: int
    currency: str
    stock: int


class ProductPage(BaseModel):
    products: list[ProductView]
    #: Pass it as `after` for the next page; null on the last one.
    next: int | None


def session(request: Request) -> Iterator[Session]:
    with Session(request.app.state.engine) as opened:
        yield opened


Database = Annotated[Session, Depends(session)]


def create(config: Config | None = None) -> FastAPI:
    config = config or Config.from_environment()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.engine = connect(config.database_url)
        log.info("started", extra={"fields": {"version": config.version, "port": config.port}})
        yield
        app.state.engine.dispose()
        log.info("stopped")

    app = FastAPI(title="products", version=config.version, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Observe, metrics=metrics, version=config.version)
    add_error_handlers(app)
    add_probes(app, metrics, config)
    add_products(app)
    return app


def add_probes(app: FastAPI, metrics: Metrics, config: Config) -> None:
    @app.get("/health", include_in_schema=False)
    def health() -> dict[str, str]:
        return {"status": "ok", "service": "products", "version": config.version}

    # Ready means: the database answers. The schema's revision is not compared, since while a new version is rolled
    # out the old one serves on the newer schema.
    @app.get("/ready", include_in_schema=False)
    def ready(database: Database) -> dict[str, str]:
        database.execute(text("SELECT 1"))
        return {"status": "ready"}

    @app.get("/metrics", include_in_schema=False)
    def show_metrics() -> PlainTextResponse:
        return PlainTextResponse(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def add_products(app: FastAPI) -> None:
    @app.get("/products")
    def list_products(
        database: Database,
        limit: Annotated[int, Query(ge=1, le=PAGE_PRODUCTS_MAX)] = 20,
        after: Annotated[int, Query(ge=0, le=ID_MAX)] = 0,
        q: Annotated[str, Query(max_length=100)] = "",
    ) -> ProductPage:
        query = select(Product).where(Product.id > after).order_by(Product.id).limit(limit + 1)
        if q:
            query = query.where(Product.name.icontains(q, autoescape=True))
        found = database.scalars(query).all()
        page = [ProductView.model_validate(product) for product in found[:limit]]
        return ProductPage(products=page, next=page[-1].id if len(found) > limit else None)

    @app.get("/products/{product_id}")
    def read_product(product_id: int, database: Database) -> ProductView:
        return ProductView.model_validate(find(database, product_id))

    @app.post("/products", status_code=HTTPStatus.CREATED)
    def create_product(new: NewProduct, database: Database, response: Response) -> ProductView:
        product = Product(**new.model_dump())
        database.add(product)
        try:
            database.commit()
        except IntegrityError:
            raise HTTPException(HTTPStatus.CONFLICT, f"a product with SKU {new.sku} exists already") from None
        response.headers["Location"] = f"/products/{product.id}"
        return ProductView.model_validate(product)

    @app.patch("/products/{product_id}")
    def change_product(product_id: int, change: ProductChange, database: Database) -> ProductView:
        product = find(database, product_id)
        for name, value in change.model_dump(exclude_unset=True, exclude_none=True).items():
            setattr(product, name, value)
        database.commit()
        return ProductView.model_validate(product)


def find(database: Session, product_id: int) -> Product:
    product = database.get(Product, product_id) if 0 < product_id <= ID_MAX else None
    if product is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no product {product_id}")
    return product


def add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    def http_error(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", errors=errors)

    # The database being away is the world's fault and may pass: 503, and the caller may try again.
    @app.exception_handler(SQLAlchemyError)
    def database_error(_request: Request, error: SQLAlchemyError) -> JSONResponse:
        log.error("database", exc_info=error)
        if isinstance(error, (OperationalError, PoolTimeoutError)):
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be reached", {"Retry-After": "5"})
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong here")


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: object) -> JSONResponse:
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    return JSONResponse(jsonable_encoder(body | more), status, headers=headers, media_type="application/problem+json")
