"""The command line, `python -m products COMMAND`.

`serve` answers requests, `migrate` updates the database, `pending` prints the migrations that it would apply, a line
each.
"""

import sys

import uvicorn

from products import logs
from products.config import Config
from products.database import migrate, pending


def main(arguments: list[str]) -> int:
    # Logs go to standard output, where the list is to be alone.
    if arguments != ["pending"]:
        logs.configure()
    match arguments:
        case [] | ["serve"]:
            serve(Config.from_environment())
            return 0
        case ["migrate"]:
            migrate(Config.from_environment().database_url)
            return 0
        case ["pending"]:
            sys.stdout.writelines(f"{name}\n" for name in pending(Config.from_environment().database_url))
            return 0
        case _:
            sys.stderr.write("usage: python -m products [serve | migrate | pending]\n")
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
