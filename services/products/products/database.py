"""The database: connections with time limits, the products table, and its migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Engine, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

CONNECT_SECONDS_MAX = 3
STATEMENT_MILLISECONDS_MAX = 5_000
POOL_SECONDS_MAX = 5
POOL_CONNECTIONS_MAX = 10

MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="products_price_cents_check"),
        CheckConstraint("stock >= 0", name="products_stock_check"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    price_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(server_default="EUR")
    stock: Mapped[int] = mapped_column(server_default="0")


def connect(url: str) -> Engine:
    """An engine that connects when first used, so that the service starts while its database is still away."""
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=POOL_CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=POOL_SECONDS_MAX,
        connect_args={
            "connect_timeout": CONNECT_SECONDS_MAX,
            "application_name": "products",
            "options": f"-c statement_timeout={STATEMENT_MILLISECONDS_MAX}",
        },
    )


def migrate(url: str, revision: str = "head") -> None:
    """Brings the schema to `revision`. Several instances may call it at once: the first does it, the rest wait."""
    config = alembic_config()
    config.attributes["url"] = url
    command.upgrade(config, revision)


def pending(url: str) -> list[str]:
    """Names of the files that `migrate` would apply, in order. Nothing is changed."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            here = MigrationContext.configure(connection).get_current_heads()
    finally:
        engine.dispose()
    scripts = ScriptDirectory.from_config(alembic_config())
    newest_first = scripts.iterate_revisions("heads", here or "base")
    return [Path(script.path).name for script in reversed(list(newest_first))]


def alembic_config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
