"""A real `pipe serve` for measurements: a data folder, a bare repository that it builds, signed hooks, clients."""

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

from measuring import PIPE, run

SECRET = "a secret of measurements, long enough"
REPOSITORY = "bench/repository"
# What takes longer has failed.
WAIT_SECONDS_MAX = 120
GIT_ENV = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_NAME": "bench",
           "GIT_AUTHOR_EMAIL": "bench@example.com", "GIT_COMMITTER_NAME": "bench", "GIT_COMMITTER_EMAIL": "bench@example.com"}


def wait_for(what, look, every=0.002, seconds=WAIT_SECONDS_MAX):
    """Waits until `look` gives something; gives that."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        found = look()
        if found:
            return found
        time.sleep(every)
    raise SystemExit(f"{what} did not come within {seconds} s")


class Repository:
    """A bare repository whose commits differ by nothing but their message: a push costs what a small push costs."""

    def __init__(self, folder, workflows):
        self.folder = folder
        work = folder.with_suffix(".work")
        run(["git", "init", "-q", "--bare", "-b", "main", str(folder)])
        run(["git", "init", "-q", "-b", "main", str(work)])
        for name, text in workflows.items():
            path = work / (name if "/" in name else f".github/workflows/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        run(["git", "add", "-A"], cwd=work)
        run(["git", "commit", "-q", "-m", "first"], cwd=work, env=GIT_ENV)
        run(["git", "push", "-q", str(folder), "main"], cwd=work)
        self.count = 0
        self.work = work
        self.head = "0" * 40

    def git(self, *arguments):
        return subprocess.check_output(["git", "-C", str(self.folder), *arguments], text=True, env=GIT_ENV).strip()

    def write(self, name, text):
        """A file in the commits from now on."""
        run(["git", "fetch", "-q", str(self.folder), "main"], cwd=self.work)
        run(["git", "reset", "-q", "--hard", "FETCH_HEAD"], cwd=self.work)
        (self.work / name).write_text(text)
        run(["git", "add", "-A"], cwd=self.work)
        run(["git", "commit", "-q", "-m", name], cwd=self.work, env=GIT_ENV)
        run(["git", "push", "-q", str(self.folder), "main"], cwd=self.work)

    def commit(self):
        """A new commit on main; gives the commits before and after."""
        before = self.git("rev-parse", "main")
        self.count += 1
        after = self.git("commit-tree", f"{before}^{{tree}}", "-p", before, "-m", f"commit {self.count}")
        self.git("update-ref", "refs/heads/main", after)
        return before, after


class Server:
    """A server on a data folder. `config` is its pipe.toml."""

    def __init__(self, base, name, workflows, config="", serve=True):
        self.folder = base / name
        self.folder.mkdir()
        self.data = self.folder / "data"
        self.repository = Repository(self.folder / "repository.git", workflows)
        secret = self.folder / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        run([PIPE, "repo", "add", str(self.repository.folder), "--name", REPOSITORY, "--forge", "push", "--secret-file",
             str(secret), "--data", str(self.data)])
        token = run([PIPE, "token", "create", "bench", "--scope", "admin", "--data", str(self.data), "--json"])[2]
        self.token = json.loads(token)["token"]
        (self.data / "pipe.toml").write_text(config)
        self.process = None
        self.begun = 0
        if serve:
            self.start()

    def start(self):
        self.errors = open(self.folder / "stderr", "ab")
        self.process = subprocess.Popen([PIPE, "serve", "--data", str(self.data), "--listen", "127.0.0.1:0"],
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)
        line = self.process.stdout.readline()
        if "listening" not in line:
            raise SystemExit("the server does not start:\n" + (self.folder / "stderr").read_text()[-3000:])
        self.port = int(line.rsplit(":", 1)[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it, with everything that still runs."""
        if self.process is None or self.process.poll() is not None:
            return
        for run_ in self.get("/api/v1/runs?limit=100")["runs"]:
            if run_["status"] != "completed":
                for _ in range(2):
                    self.ask("POST", f"/api/v1/runs/{run_['id']}/cancel", json.dumps({"force": True}))
                wait_for("the end of what runs", lambda: self.get(f"/api/v1/runs/{run_['id']}")["status"] == "completed", 0.1, 600)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()

    def ask(self, method, path, body=None, headers=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **(headers or {})}
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        except (http.client.HTTPException, OSError):
            self.connection.close()
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        return answer.status, answer.read()

    def get(self, path):
        status, body = self.ask("GET", path)
        if status != 200:
            raise SystemExit(f"{path} gave {status}: {body[:300]}")
        return json.loads(body)

    def push(self):
        """A push, as the hook of a bare repository tells it. Gives when it was sent."""
        before, after = self.repository.commit()
        owner, name = REPOSITORY.split("/")
        body = json.dumps({
            "ref": "refs/heads/main", "before": before, "after": after, "created": False, "deleted": False, "forced": False,
            "repository": {"name": name, "full_name": REPOSITORY, "owner": {"login": owner}, "default_branch": "main"},
            "pusher": {"name": "bench"}, "sender": {"login": "bench"}, "commits": [],
        })
        signature = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
        sent = time.perf_counter()
        status, answer = self.ask("POST", "/webhooks/push", body, {
            "X-Pipe-Event": "push", "X-Pipe-Delivery": f"bench-{after}", "X-Pipe-Signature-256": f"sha256={signature}"})
        if status != 202:
            raise SystemExit(f"the hook gave {status}: {answer[:300]}")
        return sent

    def newest(self):
        runs = self.get("/api/v1/runs?limit=1")["runs"]
        return runs[0]["id"] if runs else 0

    def run_after(self, before):
        """The run that comes after this one."""
        return wait_for("a run", lambda: self.ask("GET", f"/api/v1/runs/{before + 1}")[0] == 200) and before + 1

    def over(self, number):
        return wait_for(f"the end of run {number}", lambda: self.get(f"/api/v1/runs/{number}")["status"] == "completed", 0.02)

    def follow(self, number, source="127.0.0.1"):
        """A socket on the events of a run, with the request sent."""
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS_MAX, source_address=(source, 0))
        stream.sendall(f"GET /api/v1/runs/{number}/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.token}\r\n\r\n"
                       .encode())
        return stream

    def memory(self, what="VmRSS"):
        """Memory of the process in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(what + ":")).split()[1]) / 1024

    def waiting(self):
        """Job runs that wait for a place."""
        status, body = self.ask("GET", "/metrics")
        text = body.decode() if isinstance(body, bytes) else body
        if status != 200:
            raise SystemExit(f"/metrics gave {status}: {text[:300]}")
        return int(float(next(line for line in text.splitlines() if line.startswith("pipe_jobs_queued")).split()[-1]))

    def processor_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def database(self):
        """Only while it is stopped."""
        return sqlite3.connect(self.data / "pipe.db", isolation_level=None)


def read_until(stream, text, kept=b""):
    """Reads until `text` has come; gives what was read behind it too."""
    read = kept
    while text not in read:
        more = stream.recv(65_536)
        if not more:
            raise SystemExit(f"the stream ended before {text!r} came: {read[-300:]!r}")
        read = read[-4_096:] + more
    return read
