"""Runs migrations on one connection, one process at a time."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from products.database import CONNECT_SECONDS_MAX, Base

# Any number will do, as long as all instances of this service take the same one.
LOCK = 7_205_001


def run() -> None:
    engine = create_engine(
        context.config.attributes["url"],
        poolclass=pool.NullPool,
        connect_args={"connect_timeout": CONNECT_SECONDS_MAX},
    )
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            context.run_migrations()
    engine.dispose()


run()
