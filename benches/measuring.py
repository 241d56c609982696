"""What all measurements share: commands that are timed, and rows of medians. Not a program of its own."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PIPE = str(Path(sys.argv[1]).resolve())
ONLY = set(sys.argv[2:])
ROOT = Path(__file__).resolve().parent.parent
IMAGE = os.environ.get("BENCH_IMAGE", "buildpack-deps:bookworm")
ACT = os.environ.get("ACT") or shutil.which("act")
ROWS = []
# A command that takes longer has failed.
SECONDS_MAX = 600


def run(command, cwd=None, expect=0, stdin=None, env=None):
    """Wall seconds, peak memory of the child in MiB and its output."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=subprocess.STDOUT, stdin=stdin or subprocess.DEVNULL,
                                 env={**os.environ, **(env or {})})
        limit = threading.Timer(SECONDS_MAX, child.kill)
        limit.start()
        _, status, usage = os.wait4(child.pid, 0)
        limit.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begin
        out.seek(0)
        text = out.read(2_000_000).decode(errors="replace")
    if expect is not None and child.returncode != expect:
        raise SystemExit(f"{' '.join(command)} gave {child.returncode} instead of {expect}:\n{text[-3000:]}")
    return wall, usage.ru_maxrss / 1024, text


def wanted(*names):
    return not ONLY or not ONLY.isdisjoint(names)


def compare(name, target, ours, rival=None, rival_name="", runs=5, unit="s", scale=1.0, warm=True, rival_runs=None):
    """Medians of `runs` runs of each in turn, after one that does not count unless it need not be `warm`. A rival that is
    slow may have fewer `rival_runs`."""
    if not wanted(name):
        return
    print(f"… {name}", file=sys.stderr, flush=True)
    rival_runs = runs if rival_runs is None else rival_runs
    try:
        if warm:
            ours()
            if rival and rival_runs == runs:
                rival()
        a, b = [], []
        for index in range(runs):
            a.append(ours() * scale)
            if rival and index < rival_runs:
                b.append(rival() * scale)
        mine, other = statistics.median(a), statistics.median(b) if b else None
        ratio = f"{statistics.median(x / y for x, y in zip(a, b)):.3f}" if b else ""
        row = [name, f"{mine:.4g} {unit}", f"{min(a):.4g}–{max(a):.4g}", target,
               f"{rival_name} {other:.4g} {unit}" if b else "", ratio]
    except SystemExit as problem:
        row = [name, "FAILED", str(problem).splitlines()[0][:100], target, "", ""]
        print(problem, file=sys.stderr)
    ROWS.append(row)
    print("  ".join(str(cell) for cell in row), flush=True)


def attempt(name, rival):
    """A rival that may not be able to do what is measured: itself where it is, else a row that says so."""
    try:
        rival()
    except SystemExit as problem:
        print(problem, file=sys.stderr)
        ROWS.append([name, "—", "", "", "act cannot", ""])
        print("  ".join(ROWS[-1]), flush=True)
        return None
    return rival


def repository(folder, workflows):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in workflows.items():
        path = folder / ".github/workflows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    run([*git, "init", "-q", "-b", "main"], cwd=folder)
    run([*git, "add", "-A"], cwd=folder)
    run([*git, "commit", "-q", "-m", "bench"], cwd=folder)
    return folder
