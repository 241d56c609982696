"""What every request passes through: its id, the version header, metrics, and one log line."""

import logging
import re
import time
import uuid

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from products.logs import request_id

log = logging.getLogger("products.request")

# A caller's id is kept only in this form: it ends up in our logs.
CALLER_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        labels = ["method", "route", "status"]
        self.requests = Counter("http_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "http_request_duration_seconds", "Time to answer a request.", labels, registry=self.registry
        )


class Observe:
    """ASGI middleware, outermost."""

    def __init__(self, app: ASGIApp, metrics: Metrics, version: str) -> None:
        self.app = app
        self.metrics = metrics
        self.version = version.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identifier = caller_id(scope) or uuid.uuid4().hex
        token = request_id.set(identifier)
        started = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", identifier.encode()),
                    (b"x-version", self.version),
                ]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            self.record(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    def record(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's template, not the path: paths are without number, and each label value is kept for ever.
        route = getattr(scope.get("route"), "path", "unmatched")
        self.metrics.requests.labels(scope["method"], route, status).inc()
        self.metrics.seconds.labels(scope["method"], route, status).observe(seconds)
        fields = {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "milliseconds": round(seconds * 1000, 2),
        }
        # Probes come every few seconds and say nothing when they pass.
        quiet = status < 400 and route in ("/health", "/ready", "/metrics")
        log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})


def caller_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and CALLER_ID.fullmatch(text := value.decode("latin-1")):
            return text
    return None
