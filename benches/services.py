"""Artifacts and caches of a gigabyte through GitHub's own clients: how fast `pipe` serves them, beside a server that throws all
of it away (null_server.py), which is the client's own limit, and beside act.

The clock is the client's: `tests/clients/drive.mjs` tells how long its call took. All of them run on this machine itself,
with the same Node.js.
"""

import base64
import json
import os
import shutil
import subprocess
import sys

from measuring import ACT, ONLY, PIPE, ROOT, attempt, compare, repository, run, wanted

BYTES = 1_000_000_000
CLIENTS = ROOT / "tests/clients"
ACTION = "name: client\ninputs:\n  verb: {required: true}\n  call: {required: true}\nruns:\n  using: node20\n  main: main.mjs\n"
# Hands its inputs to the program of the tests, and says by which Node.js.
MAIN = """process.argv = [process.execPath, 'drive.mjs', process.env.INPUT_VERB, process.env.INPUT_CALL];
console.log(JSON.stringify({ node: process.execPath }));
await import(process.env.CLIENTS + '/drive.mjs');
"""


def files(base):
    """A gigabyte that cannot be packed, so that nobody's compression is measured."""
    data = base / "services-data"
    if not data.exists():
        data.mkdir()
        with (data / "big.bin").open("wb") as file:
            for _ in range(BYTES // 10_000_000):
                file.write(os.urandom(10_000_000))
    return data


def told(text):
    """What the client said of its calls: milliseconds in their order, and its Node.js."""
    found = []
    for line in text.splitlines():
        _, brace, rest = line.partition("{")
        try:
            found.append(json.loads(brace + rest))
        except ValueError:
            continue
    times = [one["milliseconds"] for one in found if isinstance(one, dict) and "milliseconds" in one]
    nodes = [one["node"] for one in found if isinstance(one, dict) and "node" in one]
    return times, nodes


def speeds(text, expect):
    times, nodes = told(text)
    if len(times) != expect:
        raise SystemExit(f"{len(times)} of {expect} calls of a client succeeded:\n{text[-2000:]}")
    return [BYTES / 1e6 / (time / 1000) for time in times], nodes


class Null:
    """The server that does nothing, for as long as it is asked."""

    def __init__(self, file, *more):
        self.child = subprocess.Popen([sys.executable, str(ROOT / "benches/null_server.py"), str(file), *more],
                                      stdout=subprocess.PIPE, text=True)
        self.origin = self.child.stdout.readline().strip()

    def __enter__(self):
        return self.origin

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


class Pair:
    """Two calls of a client, up and down, against `pipe`, act and the null server."""

    def __init__(self, base, name, calls):
        self.base, self.name, self.calls = base, name, calls
        self.data = files(base)
        self.given = base / f"{name}.given"
        self.node = shutil.which("node")
        self.folder = repository(base / name, {"one.yml": self.workflow()})
        self.downs, self.null_downs = [], []

    def workflow(self):
        """A job for each call, one after the other, so that the second one has nothing of the first but what was kept."""
        jobs, before = "", ""
        for index, (verb, call) in enumerate(self.calls):
            jobs += (f"  j{index}:\n    runs-on: ubuntu-latest\n{before}    steps:\n      - uses: actions/checkout@v4\n"
                     "      - uses: ./client\n"
                     f"        env: {{CLIENTS: {CLIENTS}}}\n"
                     f"        with:\n          verb: {verb}\n          call: '{json.dumps(call)}'\n")
            before = f"    needs: j{index}\n"
        client = self.base / self.name / "client"
        client.mkdir(parents=True)
        (client / "action.yml").write_text(ACTION)
        (client / "main.mjs").write_text(MAIN)
        return f"on: push\njobs:\n{jobs}"

    def clean(self):
        """Nothing of the run before is there, and what is sent is not on its way to the disk."""
        shutil.rmtree(self.base / "got", ignore_errors=True)
        with (self.data / "big.bin").open("rb") as file:
            os.fsync(file.fileno())

    def ours(self):
        self.clean()
        state = self.base / "state"
        text = run([PIPE, "run", "push", "-W", ".github/workflows/one.yml", "--host"], cwd=self.folder,
                   env={"XDG_STATE_HOME": str(state)})[2]
        shutil.rmtree(state)
        (up, down), nodes = speeds(text, 2)
        self.node = nodes[0]
        self.downs.append(down)
        return up

    def act(self):
        self.clean()
        server = self.base / "act-server"
        text = run([ACT, "push", "-W", ".github/workflows/one.yml", "-P", "ubuntu-latest=-self-hosted", "--pull=false",
                    "--artifact-server-path", str(server), "--cache-server-path", str(server / "cache")], cwd=self.folder)[2]
        shutil.rmtree(server, ignore_errors=True)
        (up, down), _ = speeds(text, 2)
        self.null_downs.append(down)
        return up

    def client(self, origin, call):
        self.clean()
        workspace, temporary = self.base / "null/workspace", self.base / "null/temp"
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in (workspace, temporary):
            folder.mkdir(parents=True, exist_ok=True)
        claims = base64.urlsafe_b64encode(b'{"scp":"Actions.Results:run:job"}').decode().rstrip("=")
        text = run([self.node, str(CLIENTS / "drive.mjs"), call[0], json.dumps(call[1])], env={
            "ACTIONS_RESULTS_URL": f"{origin}/", "ACTIONS_RUNTIME_TOKEN": f"e30.{claims}.none", "ACTIONS_CACHE_SERVICE_V2": "true",
            "GITHUB_SERVER_URL": "https://github.com", "GITHUB_WORKSPACE": str(workspace), "RUNNER_TEMP": str(temporary)})[2]
        return speeds(text, 1)[0][0]

    def null(self):
        """Up and down; what is given back is what a client has sent once."""
        if not self.given.exists():
            with Null(self.given, "keep") as origin:
                self.client(origin, self.calls[0])
        with Null(self.given) as origin:
            up = self.client(origin, self.calls[0])
            self.null_downs.append(self.client(origin, self.calls[1]))
        return up

    def rows(self, up, down, target_up, target_down, runs=5):
        compare(up, target_up, self.ours, self.null, "null server", unit="MB/s", runs=runs)
        self.of_downs(down, target_down, "null server", runs)
        if wanted(f"{up}-act") and ACT and (rival := attempt(f"{up}-act", self.act)):
            self.downs.clear()
            self.null_downs.clear()
            compare(f"{up}-act", "", self.ours, rival, "act", unit="MB/s", runs=3, warm=False)
            self.of_downs(f"{down}-act", "", "act", 3)

    def of_downs(self, name, target, rival, runs):
        """The second figures of the pairs that were measured last."""
        if len(self.downs) < runs or len(self.null_downs) < runs:
            return
        mine, other = iter(self.downs[-runs:]), iter(self.null_downs[-runs:])
        compare(name, target, lambda: next(mine), lambda: next(other), rival, unit="MB/s", runs=runs, warm=False)


def rows(base):
    artifacts, caches = ("artifact-1GB-up", "artifact-1GB-down"), ("cache-1GB-saved", "cache-1GB-restored")
    if not wanted(*artifacts, *caches):
        return
    for up, down in (artifacts, caches):
        # Both are figures of one run.
        ONLY.update([up, down] if ONLY & {up, down} else [])
    run([str(ROOT / "scripts/clients.sh")])
    data, got = base / "services-data", base / "got"
    if wanted(*artifacts):
        up = {"name": "big", "files": [str(data / "big.bin")], "root": str(data), "options": {"compressionLevel": 0}}
        down = {"name": "big", "path": str(got)}
        Pair(base, "artifact", [("artifact-upload", up), ("artifact-download", down)]).rows(
            *artifacts, "≥ 300 MB/s or the null server's", "≥ 300 MB/s or the null server's")
    if wanted(*caches):
        call = {"paths": [str(data)], "key": "big"}
        Pair(base, "cache", [("cache-save", call), ("cache-restore", call)]).rows(
            *caches, "", "≥ 400 MB/s or the null server's")
