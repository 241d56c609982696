"""How fast a server is: hooks, first lines, memory, lists, restarts, the queue. Each row starts servers of its own."""

import re
import resource
import statistics
import time

from measuring import IMAGE, PIPE, ROOT, compare, run, wanted
from serving import Server, read_until, wait_for

LABELS = f"[labels]\nbench = '{IMAGE}'\nhere = 'host'\n"


def workflow(label, script, more=""):
    return f"on: [push, workflow_dispatch]\njobs:\n  a:\n    runs-on: {label}\n{more}    steps:\n      - run: {script}\n"


class Serving:
    """A server for as long as it is measured."""

    def __init__(self, *arguments, **settings):
        self.server = Server(*arguments, **settings)

    def __enter__(self):
        return self.server

    def __exit__(self, *_):
        self.server.stop()


def acknowledging(_base):
    """Signed pushes of 8 kB over 64 connections; the program fails if one that was acknowledged is not in the database."""
    if not wanted("ack-rate", "ack-p99"):
        return
    rates, tails = [], []

    def once():
        command = ["cargo", "run", "--release", "--quiet", "-p", "web", "--example", "load", "--", "64", "10", "8000"]
        text = run(command, cwd=ROOT)[2]
        if " 0 of them missing" not in text:
            raise SystemExit(f"acknowledged hooks are lost:\n{text}")
        rates.append(float(re.search(r"(\d+) acknowledgements/s", text)[1]))
        tails.append(float(re.search(r"p99 ([\d.]+) ms", text)[1]))
        return rates[-1]

    compare("ack-rate", "≥ 5000/s", once, unit="/s", runs=3, warm=False)
    if not tails:
        once()
    compare("ack-p99", "≤ 50 ms", lambda: statistics.median(tails), unit="ms", runs=1, warm=False)


def first_line(server):
    """From the hook to the first line of the job's step, as a client that follows the run gets it."""
    before = server.newest()
    sent = server.push()
    number = server.run_after(before)
    stream = server.follow(number)
    read_until(stream, b"\"text\":\"first line\"")
    seen = time.perf_counter() - sent
    stream.close()
    server.over(number)
    return seen


def first_lines(base):
    rows = {
        "hook-line-cold": ("bench", "[warm]\ncontainers = 0\n", "≤ 0.5 s"),
        "hook-line-warm": ("bench", "", "≤ 80 ms"),
        "hook-line-host": ("here", "", ""),
    }
    for name, (label, more, target) in rows.items():
        if not wanted(name):
            continue
        with Serving(base, name, {"one.yml": workflow(label, "echo first line")}, LABELS + more) as server:
            first_line(server)
            # What is made ahead is there, if anything is.
            time.sleep(1)
            compare(name, target, lambda: (first_line(server), time.sleep(1))[0], unit="ms", scale=1000, runs=15)


def idle(base):
    if not wanted("idle-memory"):
        return

    def once():
        with Serving(base, f"idle-{time.perf_counter_ns()}", {"one.yml": workflow("here", "echo")}, LABELS) as server:
            server.get("/api/v1/runs")
            time.sleep(2)
            return server.memory()
    compare("idle-memory", "≤ 25 MB", once, unit="MiB", runs=3, warm=False)


CLIENTS = 1_000


def followers(base):
    """Clients that follow one log; each has got all of it. From several addresses, as there is a limit for each."""
    if not wanted("followers-memory"):
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (4_096, max(4_096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    script = "for i in $(seq 1000); do echo line $i of a log that is followed by many; done; echo all of it; sleep 600"

    def once():
        with Serving(base, f"followers-{time.perf_counter_ns()}", {"one.yml": workflow("here", script)}, LABELS) as server:
            server.push()
            number = server.run_after(0)
            streams = [server.follow(number, f"127.0.1.{1 + index // 40}") for index in range(CLIENTS)]
            for stream in streams:
                read_until(stream, b"\"text\":\"all of it\"")
            peak = server.memory("VmHWM")
            for stream in streams:
                stream.close()
            return peak
    compare("followers-memory", "≤ 150 MB", once, unit="MiB", runs=3, warm=False)


RUNS = 100_000


def listing(base):
    if not wanted("list-50", "list-50-command"):
        return
    with Serving(base, "listing", {"one.yml": workflow("here", "echo")}, LABELS, serve=False) as server:
        fill = server.database()
        fill.execute("""
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
            INSERT INTO runs (id, repository, workflow, number, event, git_ref, sha, started_at, forge, actor, title, status,
                              conclusion, finished_at)
            SELECT i, 'bench/repository', '.github/workflows/one.yml', i, 'push', 'refs/heads/main', printf('%040x', i),
                   '2026-01-01T00:00:00Z', 'push', 'somebody', 'a title', 'completed', 'success', '2026-01-01T00:00:09Z'
            FROM n""", [RUNS])
        fill.close()
        server.start()

        def once():
            begin = time.perf_counter()
            count = len(server.get("/api/v1/runs?limit=50&branch=main")["runs"])
            seconds = time.perf_counter() - begin
            if count != 50:
                raise SystemExit(f"{count} runs instead of 50")
            return seconds
        compare("list-50", "≤ 10 ms", once, unit="ms", scale=1000, runs=51)
        command = [PIPE, "runs", "-n", "50", "--data", str(server.data)]
        compare("list-50-command", "", lambda: run(command)[0], unit="ms", scale=1000, runs=15)


LEGS = 100


def restart(base):
    """Killed while so many jobs run; until each of them is followed again (its log is made anew)."""
    for name, label in (("restart-100", "bench"), ("restart-100-host", "here")):
        if not wanted(name):
            continue
        numbers = ", ".join(map(str, range(10)))
        matrix = f"    strategy:\n      fail-fast: false\n      max-parallel: {LEGS}\n      matrix:\n        a: [{numbers}]\n        b: [{numbers}]\n"
        config = LABELS + f"[queue]\nmax-jobs = {LEGS}\n[warm]\ncontainers = 0\n"
        with Serving(base, name, {"one.yml": workflow(label, "echo begun; sleep 3600", matrix)}, config) as server:
            server.push()
            number = server.run_after(0)
            folder = server.data / "runs" / str(number) / "logs"
            logs = lambda: [log for log in folder.rglob("*.log") if log.stat().st_size and b"begun\n" in log.read_bytes()]
            wait_for("all jobs", lambda: len(logs()) >= LEGS, 0.2, 600)
            found = {log: log.stat().st_mtime_ns for log in logs()}

            def once():
                server.kill()
                time.sleep(0.5)
                before = {log: log.stat().st_mtime_ns for log in found}
                begin = time.perf_counter()
                server.start()
                again = lambda log: log.stat().st_mtime_ns > before[log] and b"begun\n" in log.read_bytes()
                wait_for("all jobs again", lambda: all(again(log) for log in found), 0.02)
                return time.perf_counter() - begin
            compare(name, "≤ 3 s", once, runs=3, warm=False)


def queue(base):
    """What one job costs with so many behind it: in runs of their own, and in one run. The jobs do nothing, one at a time,
    so that what is measured is the queue."""
    for count in (100, 1_000, 10_000):
        runs, jobs = f"queue-runs-{count}", f"queue-jobs-{count}"
        if wanted(runs, f"{runs}-cpu", f"{runs}-look"):
            queued(base, runs, count, {"one.yml": workflow("here", "'true'")}, in_runs=True)
        if wanted(jobs, f"{jobs}-cpu"):
            legs = ", ".join(map(str, range(min(count, 250))))
            matrix = f"    strategy:\n      matrix:\n        a: [{legs}]\n"
            job = f"    runs-on: here\n{matrix}    steps:\n      - run: 'true'\n"
            text = "on: [push, workflow_dispatch]\njobs:\n" + "".join(f"  j{n}:\n{job}" for n in range(max(1, count // 250)))
            queued(base, jobs, count, {"one.yml": text}, in_runs=False)


MEASURED = 40


def queued(base, name, count, workflows, in_runs):
    with Serving(base, name, workflows, LABELS + "[queue]\nmax-jobs = 1\n") as server:
        server.push()
        number = server.run_after(0)
        if in_runs:
            server.over(number)
            server.stop()
            copy(server, number, count)
            server.start()
            # Each run is looked at once when it comes, whether or not there is a place: its group may want to know of it.
            begin = time.perf_counter()
            wait_for("all runs to be looked at", lambda: server.waiting() + finished(server, True, number) >= count - 1, 0.1, 600)
            looked = (time.perf_counter() - begin) / count
            compare(f"{name}-look", "does not grow", lambda: looked, unit="ms", scale=1000, runs=1, warm=False)
        done = lambda: finished(server, in_runs, number)
        wait_for("the first jobs", lambda: done() >= 5, 0.05, 300)
        first, begin, used = done(), time.perf_counter(), server.processor_seconds()
        last = wait_for("more jobs", lambda: (now := done()) >= min(first + MEASURED, count) and now, 0.02, 300)
        each = (time.perf_counter() - begin) / (last - first)
        used = (server.processor_seconds() - used) / (last - first)
        compare(name, "does not grow", lambda: each, unit="ms", scale=1000, runs=1, warm=False)
        compare(f"{name}-cpu", "does not grow", lambda: used, unit="ms", scale=1000, runs=1, warm=False)
        server.kill()


def finished(server, in_runs, number):
    """How many jobs have begun; asked of the files, which costs the server nothing. Runs of one repository go in order."""
    logs = server.data / "runs"
    if not in_runs:
        folder = logs / str(number) / "logs"
        return sum(1 for _ in folder.iterdir()) if folder.exists() else 0
    while (logs / str(number + 1 + server.begun) / "logs" / "a").exists():
        server.begun += 1
    return server.begun


def copy(server, number, count):
    """So many runs like this one, as they are when nobody has begun them."""
    fill = server.database()
    columns = "repository, workflow, attempt, event, git_ref, sha, started_at, forge, actor, title, priority, trust"
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"
    fill.execute("BEGIN")
    fill.execute(f"{numbers} INSERT INTO runs (id, number, {columns}) SELECT ?1 + i, number + i, {columns} FROM n, runs WHERE id = ?1",
                 [number, count])
    fill.execute(f"{numbers} INSERT INTO run_specs (run, body) SELECT ?1 + i, body FROM n, run_specs WHERE run = ?1",
                 [number, count])
    fill.execute("COMMIT")
    fill.close()


PARTS = (acknowledging, first_lines, idle, followers, listing, restart, queue)
