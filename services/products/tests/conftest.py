"""A database of its own for the whole run, on the PostgreSQL that DATABASE_URL names; dropped at the end."""

import os
import uuid
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import URL, Engine, create_engine, make_url, text

from products.app import create
from products.config import Config
from products.database import migrate


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[URL, Engine]]:
    if "DATABASE_URL" not in os.environ:
        pytest.exit("DATABASE_URL must name a PostgreSQL whose role may create databases", returncode=2)
    url = make_url(Config.from_environment().database_url)
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    yield url, admin
    admin.dispose()


@pytest.fixture(scope="session")
def empty_database(server: tuple[URL, Engine]) -> Iterator[str]:
    """The URL of a new database without any table."""
    url, admin = server
    name = f"products_test_{uuid.uuid4().hex[:12]}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def database(empty_database: str) -> str:
    migrate(empty_database)
    return empty_database


@pytest.fixture(scope="session")
def client(database: str) -> Iterator[TestClient]:
    config = Config(database_url=database, version="0123abc")
    with TestClient(create(config), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def without_database() -> Iterator[TestClient]:
    """The service while nothing listens where its database should be."""
    config = Config(database_url="postgresql+psycopg://nobody@127.0.0.1:1/none")
    with TestClient(create(config), raise_server_exceptions=False) as client:
        yield client
