"""Side-by-side measurements: each figure is the median of several runs, taken in turn with the rival's (A B A B …), so
that a machine that is busy is busy for both. Prints a table and the machine's load; writes nothing into the project.

Usage: bench.py PATH_TO_PIPE [NAME…]   names as in the first column; none: all. ACT=/path/to/act or `act` on PATH adds
nektos/act. Every measurement checks that what it timed really happened (exit code, counts), else it is an error.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import actions
import advisories
import pages
import proxying
import scanning
import server
import services
from measuring import ACT, IMAGE, PIPE, ROOT, ROWS, compare, repository, run, wanted


def steps(count, runs_on="ubuntu-latest"):
    lines = "".join("      - run: 'true'\n" for _ in range(count))
    return f"on: push\njobs:\n  a:\n    runs-on: {runs_on}\n    steps:\n{lines}"


def pipe(folder, *arguments, expect=0):
    return lambda: run([PIPE, *arguments], cwd=folder, expect=expect)[0]


def act(folder, workflow):
    if not ACT:
        return None
    return lambda: run([ACT, "push", "-W", f".github/workflows/{workflow}", "-P", f"ubuntu-latest={IMAGE}", "--pull=false", "--rm"],
                       cwd=folder)[0]


def job_speed(base):
    folder = repository(base / "steps", {"fifty.yml": steps(50), "one.yml": steps(1)})
    ours = lambda name: pipe(folder, "run", "push", "-W", f".github/workflows/{name}", "-P", f"ubuntu-latest={IMAGE}")
    compare("steps50", "≤ 1.2 s", ours("fifty.yml"), act(folder, "fifty.yml"), "act", runs=5, rival_runs=2)
    one, fifty = ours("one.yml"), ours("fifty.yml")
    compare("step-extra", "≤ 3 ms", lambda: (fifty() - one()) / 49, unit="ms", scale=1000, runs=7)
    host = lambda name: pipe(folder, "run", "push", "-W", f".github/workflows/{name}", "--host")
    h1, h50 = host("one.yml"), host("fifty.yml")
    script = base / "steps" / "true.sh"
    script.write_text("true\n")
    bash = lambda: run(["sh", "-c", 'for n in $(seq 49); do bash -e "$0" || exit; done', str(script)])[0] / 49
    compare("step-extra-host", "≤ 2 ms", lambda: (h50() - h1()) / 49, bash, "bash alone", unit="ms", scale=1000, runs=7)
    docker = lambda: run(["docker", "run", "--rm", IMAGE, "true"])[0]
    compare("one-step", "≤ 1.1 × docker run", ours("one.yml"), docker, "docker run", runs=9)
    if ACT:
        compare("one-step-act", "", ours("one.yml"), act(folder, "one.yml"), "act", runs=5, rival_runs=3)


def reading(base):
    sources = [path for path in (ROOT / "tests/cases").rglob("*.yml") if "mistakes" not in path.parts]
    sources += list((ROOT / "pipelines").glob("*.yml"))
    texts = [path.read_text() for path in sources]
    folder = base / "check"
    folder.mkdir()
    for index in range(800):
        (folder / f"w{index}.yml").write_text(texts[index % len(texts)])
    size = sum(len(texts[index % len(texts)]) for index in range(800)) / 1e6

    def check():
        wall, _, text = run([PIPE, "check", "--format", "json", str(folder)], expect=None)
        if len(text.splitlines()) < 800:
            raise SystemExit(f"only {len(text.splitlines())} answers for 800 files")
        return wall
    compare(f"check800 ({size:.1f} MB)", "≤ 0.3 s", check)


def planning(base):
    names = [[f"j{level}_{index}" for index in range(25)] for level in range(20)]
    jobs = []
    for level, row in enumerate(names):
        for index, name in enumerate(row):
            needs = f"    needs: [{', '.join(names[level - 1][(index + k) % 25] for k in range(3))}]\n" if level else ""
            jobs.append(f"  {name}:\n    runs-on: ubuntu-latest\n{needs}    steps:\n      - run: echo\n")
    diamond = "on: push\njobs:\n" + "".join(jobs)
    many = steps(10_000).replace("'true'", "echo some words to fill it up")
    matrix = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix:\n" + "".join(
        f"        k{key}: [{', '.join(map(str, range(10)))}]\n" for key in range(4)) + "    steps:\n      - run: echo\n"
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)) + "on: push\njobs: *j\n"
    brackets = "on: push\njobs: " + "[" * 100_000
    folder = repository(base / "plans", {"diamond.yml": diamond, "many.yml": many[:499_000].rsplit("\n", 1)[0] + "\n"})
    refused = repository(base / "refused", {"matrix.yml": matrix, "bomb.yml": bomb, "brackets.yml": brackets})
    plan = lambda where, name, expect=0: pipe(where, "plan", "-e", "push", "-W", f".github/workflows/{name}", "--json", expect=expect)
    compare("plan-500-jobs", "≤ 0.1 s", plan(folder, "diamond.yml"), runs=9)
    compare("plan-10000-steps", "≤ 0.1 s", plan(folder, "many.yml"), runs=9)
    compare("matrix-10^4", "≤ 0.1 s, an error", plan(refused, "matrix.yml", 3), runs=9)
    for name in ("bomb", "brackets"):
        compare(name, "≤ 0.1 s, an error", plan(refused, f"{name}.yml", 3), runs=9)
        compare(f"{name}-memory", "≤ 50 MB",
                lambda: run([PIPE, "check", f".github/workflows/{name}.yml"], cwd=refused, expect=3)[1], unit="MiB", runs=3)


def masking(base):
    def megabytes():
        text = run(["cargo", "run", "--release", "--quiet", "-p", "workflow", "--example", "mask_throughput"], cwd=ROOT)[2]
        line = next(line for line in text.splitlines() if line.strip().startswith("100 patterns"))
        return float(next(word for word in reversed(line.split()) if word.replace(".", "").isdigit()))
    compare("mask-100-patterns", "≥ 300 MB/s", megabytes, unit="MB/s", runs=3)


GIGABYTE = {
    "lines": "head -c 1000000000 /dev/zero | tr '\\0' x | fold -w 100",
    "short-lines": "yes 0123456789abcdefghij | head -c 1000000000",
    "one-line": "head -c 1000000000 /dev/zero | tr '\\0' x",
}


def output(base):
    """A gigabyte of output, stored as a whole, against a command that only counts it. What is shown is counted too."""
    names = [f"output-1GB-{name}" for name in GIGABYTE]
    if not wanted(*names, *(f"{name}-{more}" for name in names for more in ("memory", "json", "host"))):
        return
    text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: {}\n"
    folder = repository(base / "output", {f"{name}.yml": text.format(command) for name, command in GIGABYTE.items()})
    state = base / "state"
    container = subprocess.check_output(["docker", "run", "-d", "--rm", IMAGE, "sleep", "3600"], text=True).strip()
    peaks = []

    def ours(name, *more):
        command = [PIPE, "run", "push", "-W", f".github/workflows/{name}.yml", "-P", f"ubuntu-latest={IMAGE}", *more]
        wall, peak, shown = run(["bash", "-o", "pipefail", "-c", f"{shlex.join(map(str, command))} | wc -c"], cwd=folder,
                                env={"PIPE_LOG_BYTES_MAX": "4GB", "XDG_STATE_HOME": str(state)})
        if int(shown) < 1_000_000_000:
            raise SystemExit(f"only {shown} bytes of {name} are shown")
        stored = max(log.stat().st_size for log in state.rglob("*.log"))
        shutil.rmtree(state)
        if stored < 1_000_000_000:
            raise SystemExit(f"only {stored} bytes of {name} are stored")
        peaks.append(peak)
        return wall

    def rival(command):
        return lambda: run(["sh", "-c", f"test $({command} | wc -c) -ge 1000000000"])[0]

    try:
        for name, command in GIGABYTE.items():
            row, here = f"output-1GB-{name}", rival(f"sh -c \"{command}\"")
            exec_ = rival(f"docker exec {container} sh -c \"{command}\"")
            compare(row, "≤ docker exec | wc -c", lambda: ours(name), exec_, "docker exec", runs=3, warm=False)
            compare(f"{row}-host", "", lambda: ours(name, "--host"), here, "sh", runs=3, warm=False)
            if name == "lines":
                compare(f"{row}-json", "", lambda: ours(name, "--json"), exec_, "docker exec", runs=3, warm=False)
            if peaks:
                compare(f"{row}-memory", "≤ 64 MB", lambda: max(peaks), unit="MiB", runs=1, warm=False)
            peaks.clear()
    finally:
        subprocess.run(["docker", "rm", "-f", container], stdout=subprocess.DEVNULL)


def start(base):
    compare("version", "≤ 10 ms", pipe(ROOT, "--version"), unit="ms", scale=1000, runs=21)
    compare("list", "≤ 30 ms", pipe(ROOT, "list"), unit="ms", scale=1000, runs=21)


def main():
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; image {IMAGE}; act {ACT or 'not installed'}")
    print("name  median  min–max  target  rival  ratio ours/rival")
    with tempfile.TemporaryDirectory(prefix="bench-") as base:
        for part in (start, reading, planning, masking, job_speed, output, actions.rows, services.rows, scanning.rows, advisories.rows, proxying.rows, *server.PARTS, *pages.PARTS):
            try:
                part(Path(base))
            except SystemExit as problem:
                ROWS.append([part.__name__, "FAILED", str(problem)[:200], "", "", ""])
                print(problem, file=sys.stderr)
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    if "BENCH_JSON" in os.environ:
        Path(os.environ["BENCH_JSON"]).write_text(json.dumps(ROWS, ensure_ascii=False, indent=1))
    sys.exit(any(row[1] == "FAILED" for row in ROWS))


main()
