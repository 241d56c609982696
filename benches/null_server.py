"""The least that a server can do for GitHub's own clients: it speaks the protocols of artifacts and caches, throws away what
it is sent, and gives one file to whoever wants something back. What a client reaches against it is the client's own limit.

Usage: null_server.py FILE [keep]   prints its address when it listens; with `keep` FILE is what the next upload makes it.
"""

import hashlib
import json
import os
import socket
import sys
import threading
from base64 import b64decode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PART = 1 << 20
FILE = Path(sys.argv[1])
KEEP = "keep" in sys.argv[2:]
# Bytes of the first block tell where the others lie; the client's names of blocks end in their number.
BLOCK = {}
DIGITS = 12


def described():
    """The digest and the size of what is given back."""
    if "digest" not in BLOCK:
        with FILE.open("rb") as file:
            BLOCK["digest"] = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    return BLOCK["digest"], str(FILE.stat().st_size)


def call(origin, method, question):
    """What a call of Twirp is answered."""
    if method == "ListArtifacts":
        digest, size = described()
        ids = {key: question[key] for key in ("workflow_run_backend_id", "workflow_job_run_backend_id")}
        return {"artifacts": [{**ids, "database_id": "1", "name": question.get("name_filter") or "big", "size": size,
                               "created_at": "2026-01-01T00:00:00Z", "digest": digest}]}
    return {
        "CreateArtifact": {"ok": True, "signed_upload_url": f"{origin}/upload/1?sig=none"},
        "FinalizeArtifact": {"ok": True, "artifact_id": "1"},
        "GetSignedArtifactURL": {"signed_url": f"{origin}/download/big.zip?sig=none"},
        "CreateCacheEntry": {"ok": True, "signed_upload_url": f"{origin}/upload/1?sig=none"},
        "FinalizeCacheEntryUpload": {"ok": True, "entry_id": "1"},
        "GetCacheEntryDownloadURL": {"ok": True, "signed_download_url": f"{origin}/download/cache?sig=none",
                                     "matched_key": question.get("key")},
    }[method]


def take(stream, begun, length, query):
    """The body of an upload; where it is kept if it is."""
    kept = None
    if KEEP and query.get("comp") != ["blocklist"]:
        kept = os.open(FILE, os.O_WRONLY | os.O_CREAT)
        name = b64decode(query["blockid"][0])[-DIGITS:] if "blockid" in query else b"0"
        # A client's first blocks are whole; only the last is shorter.
        BLOCK["bytes"] = max(BLOCK.get("bytes", 0), length)
        at = int(name) * BLOCK["bytes"]
        os.pwrite(kept, begun, at)
        at += len(begun)
    part = memoryview(bytearray(PART))
    left = length - len(begun)
    while left:
        read = stream.recv_into(part, min(left, PART))
        if not read:
            raise ConnectionError("the client has gone")
        if kept is not None:
            os.pwrite(kept, part[:read], at)
            at += read
        left -= read
    if kept is not None:
        os.close(kept)


def head_of(stream):
    """The head of the next request, and what has come behind it."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = stream.recv(PART)
        if not more:
            return None, b""
        text += more
    head, _, rest = text.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return (method, urlsplit(path), headers), rest


def answer(stream, status, kind, body=b"", length=None):
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body) if length is None else length}\r\n"
    stream.sendall(f"{head}x-ms-request-id: 0\r\netag: \"0x1\"\r\n\r\n".encode() + body)


def give(stream, is_head, path):
    with FILE.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        answer(stream, "200 OK", "application/zip" if path.endswith(".zip") else "application/octet-stream", length=size)
        if not is_head:
            stream.sendfile(file)


def serve(stream, origin):
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with stream:
        while True:
            request, rest = head_of(stream)
            if request is None:
                return
            method, url, headers = request
            length = int(headers.get("content-length", 0))
            if method == "PUT":
                take(stream, rest, length, parse_qs(url.query))
                answer(stream, "201 Created", "text/plain")
            elif method == "POST":
                while len(rest) < length:
                    rest += stream.recv(PART)
                given = call(origin, url.path.rpartition("/")[2], json.loads(rest))
                answer(stream, "200 OK", "application/json", json.dumps(given).encode())
            else:
                give(stream, method == "HEAD", url.path)


def quiet(stream, origin):
    # A client that hangs up in the middle has what it wanted.
    try:
        serve(stream, origin)
    except OSError:
        pass


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(origin, flush=True)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=quiet, args=(stream, origin), daemon=True).start()


main()
