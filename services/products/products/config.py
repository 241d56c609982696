"""Settings, all from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    #: SQLAlchemy's form. Without DATABASE_URL, libpq's own variables (PGHOST, PGUSER, ...) say where the database is.
    database_url: str = "postgresql+psycopg://"
    host: str = "0.0.0.0"  # noqa: S104 - in a container, the network outside decides who gets in
    port: int = 8080
    version: str = "unknown"
    shutdown_seconds_max: int = 10

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Config":
        url = environment.get("DATABASE_URL", cls.database_url)
        for plain in ("postgres://", "postgresql://"):
            if url.startswith(plain):
                url = "postgresql+psycopg://" + url.removeprefix(plain)
        return cls(
            database_url=url,
            host=environment.get("HOST", cls.host),
            port=int(environment.get("PORT", cls.port)),
            version=environment.get("GIT_SHA") or cls.version,
            shutdown_seconds_max=int(environment.get("SHUTDOWN_SECONDS_MAX", cls.shutdown_seconds_max)),
        )
