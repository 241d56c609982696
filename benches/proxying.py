"""`pipe proxy` beside haproxy: requests a second, the slowest hundredth, changes of weight, and what a shift of traffic costs.

Needs `haproxy` and `wrk`. Backends are haproxy too, since they have to be faster than what is measured, or (rows `-2ms`)
Node with two milliseconds of work. PROXY=/path/to/examples/stand measures the proxy without the rest of `pipe`.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from measuring import PIPE, compare, wanted

SECONDS = int(os.environ.get("BENCH_PROXY_SECONDS", "3"))
ROUNDS = int(os.environ.get("BENCH_PROXY_ROUNDS", "7"))
CLIENTS = 20
REQUESTS = 50_000
NAMES = ("proxy-requests", "proxy-p99", "proxy-requests-2ms", "proxy-p99-2ms", "proxy-weight-change", "proxy-weight-change-disk",
         "proxy-shift-failed", "proxy-split-green", "proxy-memory")
NODE = """const http = require('http');
http.createServer((q, r) => setTimeout(() => r.end(process.argv[2]), 2)).listen(+process.argv[3], '127.0.0.1');"""


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for_port(number):
    end = time.perf_counter() + 20
    while time.perf_counter() < end:
        try:
            socket.create_connection(("127.0.0.1", number), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"nobody listens on port {number}")


def haproxy(base, name, sections, threads=1):
    file = base / f"{name}.cfg"
    admin = base / f"{name}.sock"
    file.write_text(f"global\n nbthread {threads}\n maxconn 4000\n stats socket {admin} mode 600 level admin\n"
                    f"defaults\n mode http\n timeout client 60s\n timeout server 60s\n timeout connect 2s\n{sections}\n")
    return subprocess.Popen(["haproxy", "-db", "-f", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), admin


class Colours:
    """Two backends, the proxy and haproxy before them."""

    def __init__(self, base, kind):
        base.mkdir()
        self.processes = []
        self.ports = {"blue": port(), "green": port()}
        self.backends = {}
        for name, number in self.ports.items():
            if kind == "node":
                file = base / "backend.js"
                file.write_text(NODE)
                child = subprocess.Popen(["node", str(file), name, str(number)])
            else:
                body = f"frontend f\n bind 127.0.0.1:{number}\n http-request return status 200 content-type text/plain string {name}"
                child, _ = haproxy(base, name, body)
            self.backends[name] = child
            self.processes.append(child)
            wait_for_port(number)
        self.rival = port()
        servers = "\n".join(f" server {name} 127.0.0.1:{number} weight {weight}"
                            for (name, number), weight in zip(self.ports.items(), (230, 26)))
        child, self.admin = haproxy(base, "rival", f"frontend f\n bind 127.0.0.1:{self.rival}\n default_backend bg\n"
                                    f"backend bg\n balance roundrobin\n http-reuse always\n option forwardfor\n{servers}", threads=os.cpu_count())
        self.processes.append(child)
        wait_for_port(self.rival)
        folder = base / "proxy"
        listen = f"127.0.0.1:{port()}"
        own = os.environ.get("PROXY")
        command = [own, listen, str(folder)] if own else [PIPE, "-q", "proxy", "--environment", "bench", "--listen", listen, "--folder", str(folder)]
        self.proxy = subprocess.Popen(command + os.environ.get("PROXY_MORE", "").split(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(self.proxy)
        if not self.proxy.stdout.readline().startswith("ready"):
            raise SystemExit("the proxy does not start")
        self.ours = int(listen.split(":")[1])
        self.socket = str(folder / "control.sock")
        self.generation = 0
        self.shares(900, 100)

    def shares(self, blue, green):
        """Sets both weights; gives the milliseconds until the answer."""
        colours = [{"name": name, "revision": name, "weight": weight, "backends": [f"127.0.0.1:{self.ports[name]}"]}
                   for name, weight in (("blue", blue), ("green", green))]
        body = json.dumps({"generation": 0, "routes": [{"service": "shop", "path": "/", "colours": colours}]}).encode()
        begin = time.perf_counter()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.socket)
            control.sendall(b"PUT /table HTTP/1.1\r\nHost: p\r\nIf-Match: \"%d\"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                            % (self.generation, len(body)) + body)
            answer = b"".join(iter(lambda: control.recv(65536), b""))
        took = (time.perf_counter() - begin) * 1000
        if b" 200 " not in answer.split(b"\r\n")[0]:
            raise SystemExit(answer.decode())
        self.generation += 1
        return took

    def rival_shares(self, blue, green):
        begin = time.perf_counter()
        for name, weight in (("blue", blue), ("green", green)):
            with socket.socket(socket.AF_UNIX) as control:
                control.connect(str(self.admin))
                control.sendall(f"set server bg/{name} weight {weight}\n".encode())
                while control.recv(65536):
                    pass
        return (time.perf_counter() - begin) * 1000

    def end(self):
        for child in self.processes:
            child.kill()
            child.wait()


def kept(base):
    """Milliseconds to keep a small file so that a loss of power does not lose it."""
    begin = time.perf_counter()
    with open(base / "kept.new", "wb") as file:
        file.write(b"x" * 600)
        file.flush()
        os.fsync(file.fileno())
    os.rename(base / "kept.new", base / "kept")
    folder = os.open(base, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return (time.perf_counter() - begin) * 1000


def wrk(number, seconds=SECONDS, clients=CLIENTS):
    """Requests a second and the 99th percentile in milliseconds."""
    text = subprocess.check_output(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{number}/"], text=True)
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(text)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    scale = {"us": 0.001, "ms": 1, "s": 1000}[slow[2]]
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), float(slow[1]) * scale


def split(colours):
    """How many of a thousand requests over four connections green gets."""
    green, lock = [0], threading.Lock()

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", colours.ours)
        for _ in range(250):
            connection.request("GET", "/")
            is_green = connection.getresponse().read() == b"green"
            with lock:
                green[0] += is_green
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return green[0]


def shift(colours):
    """What fails of so many requests while green takes over step by step and blue is ended."""
    done, failed, lock = [0], [0], threading.Lock()

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", colours.ours, timeout=10)
        while done[0] < REQUESTS:
            try:
                is_order = done[0] % 4 == 0
                connection.request("POST" if is_order else "GET", "/", body=b"x" if is_order else None)
                answer = connection.getresponse()
                answer.read()
                bad = answer.status != 200
            except (OSError, http.client.HTTPException):
                bad = True
                connection.close()
            with lock:
                done[0] += 1
                failed[0] += bad
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for index, green in enumerate((100, 500, 1000)):
        while done[0] < REQUESTS * (index + 1) // 5:
            time.sleep(0.001)
        colours.shares(1000 - green, green)
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(colours.socket)
        control.sendall(b"GET /drained?service=shop&revision=blue&timeout-ms=30000 HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: control.recv(65536), b""))
    if b'"in_flight":0' not in answer:
        raise SystemExit(answer.decode())
    colours.backends["blue"].send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    return failed[0]


def beside(colours, suffix):
    compare(f"proxy-requests{suffix}", "≥ 0.95 × haproxy", lambda: wrk(colours.ours)[0], lambda: wrk(colours.rival)[0],
            "haproxy", unit="req/s", runs=ROUNDS)
    compare(f"proxy-p99{suffix}", "≤ 1.1 × haproxy", lambda: wrk(colours.ours)[1], lambda: wrk(colours.rival)[1],
            "haproxy", unit="ms", runs=ROUNDS)


def rows(base):
    if not wanted(*NAMES):
        return
    if not shutil.which("haproxy") or not shutil.which("wrk"):
        raise SystemExit("haproxy and wrk are needed: apt-get install haproxy wrk")
    colours = Colours(base / "colours", "haproxy")
    try:
        beside(colours, "")
        weights = iter(range(10_000))
        compare("proxy-weight-change", "≤ 2 ms", lambda: colours.shares(*((500, 500) if next(weights) % 2 else (900, 100))),
                lambda: colours.rival_shares(*((128, 128) if next(weights) % 2 else (230, 26))), "haproxy", unit="ms", runs=51)
        # haproxy forgets its weights with its end. What it costs to keep them is the disk's.
        compare("proxy-weight-change-disk", "", lambda: colours.shares(*((500, 500) if next(weights) % 2 else (900, 100))),
                lambda: kept(base), "the same file alone", unit="ms", runs=51)

        def tenth():
            colours.shares(1000, 0)
            colours.shares(900, 100)
            return split(colours)
        compare("proxy-split-green", "100 of 1,000", tenth, unit="", runs=5, warm=False)
        compare("proxy-memory", "", lambda: resident(colours.proxy.pid), unit="MiB", runs=1, warm=False)
        colours.shares(1000, 0)
        compare("proxy-shift-failed", f"0 of {REQUESTS:,}", lambda: shift(colours), unit="", runs=1, warm=False)
    finally:
        colours.end()
    if wanted("proxy-requests-2ms", "proxy-p99-2ms") and shutil.which("node"):
        colours = Colours(base / "node", "node")
        try:
            beside(colours, "-2ms")
        finally:
            colours.end()


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
