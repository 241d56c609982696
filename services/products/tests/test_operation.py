"""What operators rely on: probes, headers, metrics, logs, configuration, migrations, a clean stop."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, inspect, text

from products import __main__ as program
from products import logs
from products.config import Config
from products.database import migrate, pending


def test_health_and_ready(client: TestClient):
    assert client.get("/health").json() == {"status": "ok", "service": "products", "version": "0123abc"}
    assert client.get("/ready").json() == {"status": "ready"}


def test_alive_but_not_ready_without_database(without_database: TestClient):
    assert without_database.get("/health").status_code == 200
    for path in ("/ready", "/products", "/products/1"):
        answer = without_database.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["detail"] == "the database cannot be reached"


def test_version_and_request_id_are_on_every_answer(client: TestClient):
    for path in ("/health", "/products/0", "/nowhere"):
        answer = client.get(path, headers={"X-Request-ID": "abc-1"})
        assert answer.headers["x-version"] == "0123abc"
        assert answer.headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("bad", ["", "a b", 'x"y', "a" * 65])
def test_bad_request_id_is_replaced(client: TestClient, bad: str):
    assert len(client.get("/health", headers={"X-Request-ID": bad}).headers["x-request-id"]) == 32


def test_metrics_count_by_route(client: TestClient):
    client.get("/products/1")
    client.get("/products/2")
    client.get("/no/such/thing")
    metrics = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/products/{product_id}",status="200"}' in metrics
    assert 'http_request_duration_seconds_bucket{le="0.005",method="GET",route="/products"' in metrics
    assert 'route="unmatched",status="404"' in metrics
    assert "/no/such/thing" not in metrics


def test_unexpected_error_is_answered_and_logged(database: str, caplog: pytest.LogCaptureFixture):
    from products.app import create

    app = create(Config(database_url=database))

    @app.get("/bug")
    def bug() -> None:
        raise RuntimeError("a bug")

    @app.get("/wrong")
    def wrong() -> None:
        with app.state.engine.connect() as connection:
            connection.execute(text("SELECT nonsense"))

    with TestClient(app, raise_server_exceptions=False) as client, caplog.at_level(logging.INFO):
        assert client.get("/bug").status_code == 500
        answer = client.get("/wrong")
    assert answer.status_code == 500
    assert "nonsense" not in answer.text
    assert {r.fields["status"] for r in caplog.records if r.name == "products.request"} == {500}


def test_log_line_is_json_with_the_request_id():
    token = logs.request_id.set("r-1")
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "it %s", ("broke",), sys.exc_info())
    record.fields = {"status": 500}
    line = json.loads(logs.JsonFormatter().format(record))
    logs.request_id.reset(token)
    assert line["message"] == "it broke"
    assert line["request_id"] == "r-1"
    assert line["status"] == 500
    assert "ValueError: no" in line["error"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://h/d?sslmode=require", "postgresql+psycopg://h/d?sslmode=require"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        (None, "postgresql+psycopg://"),
    ],
)
def test_database_url(url: str | None, expected: str):
    environment = {"DATABASE_URL": url} if url else {}
    assert Config.from_environment(environment).database_url == expected


def test_settings_come_from_the_environment():
    config = Config.from_environment({"PORT": "9", "HOST": "::", "GIT_SHA": "abc", "SHUTDOWN_SECONDS_MAX": "3"})
    assert (config.port, config.host, config.version, config.shutdown_seconds_max) == (9, "::", "abc", 3)
    assert Config.from_environment({"GIT_SHA": ""}).version == "unknown"


def test_migrations_go_up_twice_down_and_up_again(database: str):
    from alembic import command
    from alembic.config import Config as AlembicConfig

    from products.database import MIGRATIONS

    migrate(database)
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = database
    command.downgrade(config, "base")
    engine = create_engine(database)
    assert not inspect(engine).has_table("products")
    assert pending(database) == ["0001_products.py", "0002_seed.py"]
    migrate(database, "0001")
    assert pending(database) == ["0002_seed.py"]
    migrate(database)
    assert pending(database) == []
    command.check(config)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM products")) == 8
    engine.dispose()


def test_command_line(database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    served = []
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setattr(program, "serve", served.append)
    monkeypatch.setattr(logs, "configure", lambda: None)
    assert program.main(["pending"]) == 0
    assert capsys.readouterr().out == ""
    assert program.main(["migrate"]) == 0
    assert program.main([]) == 0
    assert served[0].database_url == database
    assert program.main(["nonsense"]) == 2
    assert "usage" in capsys.readouterr().err


def test_sigterm_lets_the_service_finish(database: str):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"DATABASE_URL": database, "PORT": str(port), "HOST": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "products", "serve"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/ready", process)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)
    finally:
        process.kill()
    lines = [json.loads(line) for line in output.splitlines()]
    assert {"started", "stopped"} <= {line["message"] for line in lines}
    # uvicorn ends as the signal would have ended it, so that a supervisor sees why.
    assert process.returncode in (0, -signal.SIGTERM)


def wait_for(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"{url} did not answer; exit code {process.poll()}")
