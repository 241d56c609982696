#!/usr/bin/env python3
"""Which functions a server has run when it is idle: `benches/order.py PIPE > runner/pipe/start.order`, see runner/pipe/build.rs.

A server with a repository is asked for its runs, builds a push on this machine, is left alone and ended in order, twice, since threads
take turns differently; valgrind notes the functions. To be made again after a change of many functions, of dependencies or of the
compiler, from a release build.
"""

import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

# How long a server is left alone, in seconds: what it does by itself now and then has been done once, also at valgrind's speed.
ALONE = 15
ROUNDS = 2


def functions(path, program):
    """The names of the program's functions in a record of callgrind."""
    ours = False
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("ob="):
            ours = line[3:] == program
        elif ours and line.startswith("fn="):
            name = re.sub(r"'\d+$", "", line[3:])
            # An address without a name, and valgrind's own names.
            if not name.startswith(("0x", "(")):
                yield name


def main():
    program = str(Path(sys.argv[1]).resolve())
    valgrind = shutil.which("valgrind") or sys.exit("valgrind is missing: apt-get install valgrind")
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        wrapped = base / "pipe"
        wrapped.write_text(f"""#!/bin/sh
[ "$1" = serve ] || exec {program} "$@"
exec {valgrind} --quiet --tool=callgrind --demangle=no --compress-strings=no --callgrind-out-file={base}/record.%p {program} "$@"
""")
        wrapped.chmod(0o755)
        sys.argv[1:] = [str(wrapped)]
        import server
        from server import LABELS, Serving, first_line, workflow

        for round_ in range(ROUNDS):
            print(f"round {round_ + 1} of {ROUNDS}", file=sys.stderr)
            with Serving(base, f"round-{round_}", {"one.yml": workflow("here", "echo first line")}, LABELS) as served:
                for path in ("/healthz", "/readyz", "/metrics", "/login"):
                    served.ask("GET", path)
                served.get("/api/v1/runs")
                first_line(served)
                time.sleep(ALONE)
        for record in base.glob("record.*"):
            found |= set(functions(record, program))
    print("\n".join(sorted(found)))


main()
