"""The command line: `python -m products serve` answers requests, `python -m products migrate` updates the database."""

import sys

import uvicorn

from products import logs
from products.config import Config
from products.database import migrate


def main(arguments: list[str]) -> int:
    logs.configure()
    match arguments:
        case [] | ["serve"]:
            serve(Config.from_environment())
            return 0
        case ["migrate"]:
            migrate(Config.from_environment().database_url)
            return 0
        case _:
            sys.stderr.write("usage: python -m products [serve | migrate]\n")
            return 2


def serve(config: Config) -> None:
    """Serves until SIGTERM or SIGINT: then accepts no more, lets requests finish, and closes the pool."""
    uvicorn.run(
        "products.app:create",
        factory=True,
        host=config.host,
        port=config.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=config.shutdown_seconds_max,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
