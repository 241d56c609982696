"""How fast pages are: of a server with very many runs, and in Chromium (with what tests/browser has; `make browser` installs it)."""

import json
import statistics
import subprocess
import time
from pathlib import Path

from measuring import ONLY, PIPE, ROOT, compare, wanted
from server import LABELS, Serving
from serving import wait_for

RUNS = 100_000
# So many of them have facts, results of tests and graphs.
WITH_FACTS = 2_000
LINES = 100_000
LIVE_LINES = 20_000
NEEDLES = 100
BROWSER = ROOT / "tests/browser"
CONFIG = LABELS + "ubuntu-latest = 'host'\n[environments.staging]\n[environments.production]\nreviewers = ['*']\nprevent-self-review = false\n"

BIG = f"""on: push
jobs:
  big:
    runs-on: here
    steps:
      - run: |
          awk 'BEGIN {{ for (n = 1; n <= {LINES}; n++) printf "line %d \\033[36mINFO\\033[0m some words, so that this line is as long as lines of logs are, about a hundred bytes, %s\\n", n, n % {LINES // NEEDLES} ? "hay" : "a needle" }}'
"""

# Waits for its file, then prints at once; or a line every 20 ms, each with when it was printed.
LIVE = f"""on: workflow_dispatch
jobs:
  live:
    runs-on: here
    steps:
      - run: |
          until [ -e /tmp/bench-pages-go-$GITHUB_RUN_ID ]; do sleep 0.01; done
          printf 'at %s\\n' "$(date +%s%3N)"
          seq 1 {LIVE_LINES}
          echo "that was all"
          until [ -e /tmp/bench-pages-slow-$GITHUB_RUN_ID ]; do sleep 0.01; done
          for n in $(seq 300); do echo "at $(date +%s%3N) $n"; sleep 0.02; done
          echo "now it is over"
"""


def modules(script):
    text = subprocess.check_output(["node", "--input-type=module", "-e", script], cwd=BROWSER, text=True)
    return json.loads(text)


class Chromium:
    def __init__(self, server):
        self.process = subprocess.Popen(["node", str(ROOT / "benches/pages.mjs"), f"http://127.0.0.1:{server.port}", server.token],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)

    def ask(self, what, **more):
        self.process.stdin.write(json.dumps({"ask": what, **more}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "Chromium ended"}')
        if "error" in answer:
            raise SystemExit(f"{what}: {answer['error']}")
        return answer


def columns(database, table, *without):
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[1] not in without]


def fill(server, run):
    """Copies of a run: all are listed, the newest ones have facts, graphs, deployments and results of tests too."""
    database = server.database()
    top, = database.execute("SELECT max(id) FROM runs").fetchone()
    numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {RUNS})"
    few = f"WITH RECURSIVE n (i) AS (SELECT {RUNS - WITH_FACTS} UNION ALL SELECT i + 1 FROM n WHERE i < {RUNS})"
    rest = ", ".join(columns(database, "runs", "id", "number"))
    database.execute("BEGIN")
    database.execute(f"{numbers} INSERT INTO runs (id, number, {rest}) SELECT {top} + i, number + 1000 + i, {rest} FROM n, runs WHERE runs.id = ?", [run])
    database.execute(f"{numbers} INSERT INTO deployments (run, job, repository, environment, state, url, started_at, ended_at) SELECT {top} + i, 'staging', repository, CASE i % 3 WHEN 0 THEN 'production' WHEN 1 THEN 'staging' ELSE 'review' END, CASE i % 7 WHEN 0 THEN 'failure' ELSE 'success' END, NULL, 1700000000000 + i * 1000, 1700000009000 + i * 1000 FROM n, runs WHERE runs.id = ?", [run])
    database.execute(f"{few} INSERT INTO events (run, seq, body) SELECT {top} + i, seq, body FROM n, events WHERE run = ?", [run])
    database.execute(f"{few} INSERT INTO run_specs (run, body) SELECT {top} + i, body FROM n, run_specs WHERE run = ?", [run])
    reports = ", ".join(columns(database, "test_reports", "id", "run"))
    reported, = database.execute("SELECT max(id) FROM test_reports").fetchone()
    report, = database.execute("SELECT id FROM test_reports WHERE run = ? ORDER BY passed LIMIT 1", [run]).fetchone()
    database.execute(f"{few} INSERT INTO test_reports (id, run, {reports}) SELECT {reported} + i, {top} + i, {reports} FROM n, test_reports WHERE test_reports.id = ?", [report])
    cases = ", ".join(columns(database, "test_cases", "report"))
    database.execute(f"{few} INSERT INTO test_cases (report, {cases}) SELECT {reported} + i, {cases} FROM n, test_cases WHERE report = ?", [report])
    database.execute("COMMIT")
    database.close()
    return top + RUNS


def pages(base):
    """All of its rows, or none: `pages` chooses them."""
    if not wanted("pages"):
        return
    ONLY.discard("pages")
    subprocess.check_call([ROOT / "scripts/browser.sh", PIPE, "ready"])
    files = modules("import { files } from './shop.mjs'; console.log(JSON.stringify(files()))")
    # By paths, also what lies at the top.
    files = {f"./{name}": text for name, text in files.items()}
    files |= {".github/workflows/big.yml": BIG, ".github/workflows/live.yml": LIVE}
    with Serving(base, "pages", files, CONFIG) as server:
        server.push()
        runs = lambda: {run["workflow"].split("/")[-1]: run for run in server.get("/api/v1/runs?limit=10")["runs"]}
        wait_for("both runs", lambda: len(runs()) == 2 and all(run["status"] == "completed" for run in runs().values()))
        shop, big = runs()["shop.yml"]["id"], runs()["big.yml"]["id"]
        # One that waits for a review: what failed is mended.
        server.repository.write("fixed", "")
        server.push()
        waiting = wait_for("a review", lambda: next((run["id"] for run in server.get("/api/v1/runs?limit=10")["runs"] if run["status"] == "waiting"), None))
        server.kill()
        newest = fill(server, shop)
        server.start()
        with Chromium(server) as chromium:
            measured(server, chromium, shop, big, waiting, newest)


def measured(server, chromium, shop, big, waiting, newest):
    test = server.get("/api/v1/tests?repository=bench/repository&order=name")["tests"][0]["id"]
    deployment = server.get("/api/v1/deployments?limit=1")["deployments"][0]["id"]
    listed = modules("import { addresses, routes } from './pages.mjs'; const known = addresses(" + json.dumps(
        {"failed": {"id": shop}, "waiting": {"id": waiting}, "test": test, "deployment": deployment}) + "); console.log(JSON.stringify(routes().flatMap((route) => known[route] ?? [route])))")
    listed = [path.replace("acme/shop", "bench/repository") for path in listed if not path.startswith(("/login", "/a/", "/settings/sessions"))]
    listed += [f"/runs/{newest}", "/?branch=main", "/?status=failure", "/?actor=nobody", "/deployments?environment=production"]
    html = {"Accept": "text/html"}

    def once(path):
        begin = time.perf_counter()
        status, _ = server.ask("GET", path, None, html)
        seconds = time.perf_counter() - begin
        if status != 200:
            raise SystemExit(f"{path} gave {status}")
        return seconds

    for path in listed:
        compare(f"page {path}", "≤ 30 ms", lambda path=path: once(path), unit="ms", scale=1000, runs=15)
    painted = ["/", f"/runs/{newest}", f"/runs/{shop}", f"/runs/{shop}/jobs/test(1)", f"/runs/{waiting}/review/production"]
    painted += ["/environments", "/deployments", f"/deployments/{deployment}", "/tests", f"/tests/{test}", "/findings", "/insights", "/costs"]
    painted += ["/dispatch?repository=bench/repository&workflow=.github/workflows/release.yml", "/deliveries", "/audit", "/settings/users"]
    for path in painted:
        found = []
        compare(f"first-paint {path}", "≤ 0.5 s", lambda path=path: (found.append(chromium.ask("weight", path=path)), found[-1]["paint"])[1])
        if found:
            compare(f"weight {path}", "≤ 100 kB", lambda: statistics.median(one["bytes"] for one in found), unit="kB", scale=0.001, runs=1, warm=False)
            compare(f"script {path}", "≤ 25 kB", lambda: max(one["script"] for one in found), unit="kB", scale=0.001, runs=1, warm=False)
    if wanted("log-open", "log-search"):
        job = f"/runs/{big}/jobs/big"
        length = len(server.ask("GET", f"/api/v1/jobs/{big}:big/log/raw?step=0")[1].splitlines())
        raw = server.ask("GET", f"/api/v1/jobs/{big}:big/log/raw?step=0")[1].decode()
        count = sum("a needle" in line for line in raw.splitlines())
        # Heads of groups are lines too, but stand elsewhere.
        shown = sum(not line.startswith(("##[group]", "##[endgroup]")) for line in raw.splitlines())
        found = [chromium.ask("log", path=job, step="s0", lines=length, text="a needle", count=count) for _ in range(3)]
        for one in found:
            if one["all"] != shown:
                raise SystemExit(f"{one['all']} lines are shown instead of {shown}")
        compare("log-open", "≤ 3 s", lambda one=iter(found): next(one)["open"], runs=3, warm=False)
        compare("log-search", "≤ 0.5 s", lambda one=iter(found): next(one)["search"], runs=3, warm=False)
        compare("log-whole", "none", lambda one=iter(found): next(one)["whole"], runs=3, warm=False)
    if wanted("log-live", "log-latency"):
        live = [followed(server, chromium) for _ in range(3)]
        compare("log-live", "≤ 0.8 s", lambda one=iter(live): next(one)[0], runs=3, warm=False)
        compare("log-latency p99", "≤ 250 ms", lambda one=iter(live): next(one)[1], unit="ms", scale=1000, runs=3, warm=False)


def followed(server, chromium):
    """Seconds until 20,000 lines that come at once are on the screen, and the slowest hundredth of lines that come one by one."""
    status, answer = server.ask("POST", "/api/v1/dispatch", json.dumps({"repository": "bench/repository", "workflow": "live.yml"}))
    if status != 201:
        raise SystemExit(f"dispatch gave {status}: {answer[:300]}")
    run = json.loads(answer)["runs"][0]
    go, slow = (Path(f"/tmp/bench-pages-{word}-{run}") for word in ("go", "slow"))
    # Of a run that was measured before.
    if go.exists() or slow.exists():
        raise SystemExit(f"remove {go} and {slow} first")
    wait_for("the job", lambda: any(job["status"] == "in_progress" and job["steps"] for job in server.get(f"/api/v1/runs/{run}")["jobs"]))
    chromium.ask("follow", path=f"/runs/{run}/jobs/live", step="s0")
    begin = time.time() * 1000
    go.touch()
    end = chromium.ask("seen", last="that was all")["end"]
    chromium.ask("follow", path=f"/runs/{run}/jobs/live", step="s0")
    slow.touch()
    taken = sorted(chromium.ask("seen", last="now it is over")["taken"])
    server.over(run)
    go.unlink()
    slow.unlink()
    return (end - begin) / 1000, taken[int(len(taken) * 0.99)]


PARTS = (pages,)
