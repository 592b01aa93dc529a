"""metrics_probe against a small server that answers as Node Exporter and Prometheus do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import metrics_probe

from tests.unit.conftest import RunModule

UNIT = "no-such-unit"
METRICS = """\
# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 12.5
node_cpu_seconds_total{cpu="0",mode="user"} 2e+01
node_load1 0.25
node_load15 0.5 1700000000000
"""


@dataclass
class Fake:
    """What the server answers."""

    url: str = ""
    metrics: str = METRICS
    password: str | None = None
    status: int = 200
    targets: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def fake() -> Iterator[Fake]:
    """Serve a Fake on a free port of the loopback."""
    state = Fake()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            pair = base64.b64encode(f"monitor:{state.password}".encode()).decode()
            allowed = state.password is None or self.headers["Authorization"] == f"Basic {pair}"
            status = state.status if allowed else 401
            body = state.metrics
            if self.path.startswith("/api/v1/targets"):
                body = json.dumps({"status": "success", "data": {"activeTargets": state.targets}})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def options(fake: Fake, **more: object) -> dict[str, Any]:
    return {"unit": UNIT, "url": fake.url, "timeout": 0, **more}


def target(job: str, health: str = "up", error: str = "") -> dict[str, Any]:
    labels = {"job": job, "instance": f"{job}.example:1"}
    return {"labels": labels, "health": health, "lastError": error}


def test_counts_the_samples_of_each_metric(run_module: RunModule, fake: Fake) -> None:
    asked = options(fake, metrics=["node_cpu_seconds_total", "node_load15"])
    result = run_module(metrics_probe.main, asked)
    assert result["samples"] == {"node_cpu_seconds_total": 2, "node_load15": 1}
    assert result["changed"] is False
    assert result["protected"] is False


def test_a_name_that_is_only_the_beginning_of_another_is_missing(
    run_module: RunModule, fake: Fake
) -> None:
    result = run_module(metrics_probe.main, options(fake, metrics=["node_cpu", "node_load1"]))
    assert result["failed"]
    assert "no sample is served of node_cpu (waited" in result["msg"]


def test_sends_the_password_and_never_shows_it(run_module: RunModule, fake: Fake) -> None:
    fake.password = "right-one"
    asked = options(fake, username="monitor", password="right-one", metrics=["node_load1"])
    result = run_module(metrics_probe.main, asked)
    assert result["samples"] == {"node_load1": 1}
    assert "right-one" not in json.dumps(result)


def test_a_wrong_password_is_named_as_such(run_module: RunModule, fake: Fake) -> None:
    fake.password = "right-one"
    asked = options(fake, username="monitor", password="wrong-one", timeout=60)
    result = run_module(metrics_probe.main, asked)
    assert len(fake.asked) == 1, "it is not tried again"
    assert "answers 401: it does not take the password of 'monitor'" in result["msg"]
    assert "wrong-one" not in json.dumps(result)


def test_without_a_password_the_demand_for_one_is_answer_enough(
    run_module: RunModule, fake: Fake
) -> None:
    fake.password = "right-one"
    result = run_module(metrics_probe.main, options(fake, metrics=["node_load1"]))
    assert result["protected"] is True
    assert not result.get("failed")


def test_nothing_listens(run_module: RunModule, fake: Fake) -> None:
    asked = options(fake) | {"url": "http://127.0.0.1:1"}
    result = run_module(metrics_probe.main, asked)
    assert "http://127.0.0.1:1/metrics does not answer" in result["msg"]
    assert f"sudo journalctl --unit {UNIT}" in result["msg"], "the command to type next"
    assert "The last lines of its journal" in result["msg"]


def test_waits_until_the_service_is_ready(run_module: RunModule, fake: Fake) -> None:
    fake.status = 503

    def ready() -> None:
        fake.status = 200

    timer = Timer(0.3, ready)
    timer.start()
    asked = options(fake, ready_path="/-/ready", timeout=10)
    result = run_module(metrics_probe.main, asked)
    timer.join()
    assert not result.get("failed")
    assert fake.asked[0] == "/-/ready"


def test_gives_up_after_the_timeout(run_module: RunModule, fake: Fake) -> None:
    fake.status = 503
    result = run_module(metrics_probe.main, options(fake, ready_path="/-/ready", timeout=1))
    assert "(waited 1 s)" in result["msg"]
    assert "/-/ready answers 503" in result["msg"]
    assert len(fake.asked) > 1


def test_a_value_that_is_another(run_module: RunModule, fake: Fake) -> None:
    fake.metrics = "prometheus_config_last_reload_successful 0\n"
    wanted = {"prometheus_config_last_reload_successful": 1}
    result = run_module(metrics_probe.main, options(fake, equal=wanted))
    assert "prometheus_config_last_reload_successful is 0, not 1" in result["msg"]


@pytest.mark.parametrize(("offset", "in_use"), [(5.0, True), (-5.0, False)])
def test_a_file_that_was_written_after_the_last_reload_is_not_in_use(
    run_module: RunModule, fake: Fake, tmp_path: Path, offset: float, in_use: bool
) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text("global: {}\n")
    fake.metrics = f"reload_timestamp_seconds {file.stat().st_ctime + offset!r}\n"
    wanted = {"reload_timestamp_seconds": [str(file)]}
    result = run_module(metrics_probe.main, options(fake, newer_than=wanted))
    assert bool(result.get("failed")) is not in_use
    if not in_use:
        assert f"{file} is not in use: reload_timestamp_seconds is 5.0 s older" in result["msg"]


def test_targets_that_are_up(run_module: RunModule, fake: Fake) -> None:
    fake.targets = [target("node"), target("prometheus"), target("other", "down", "refused")]
    result = run_module(metrics_probe.main, options(fake, targets_up=["node", "prometheus"]))
    assert [(t["job"], t["health"]) for t in result["targets"]] == [
        ("node", "up"),
        ("prometheus", "up"),
    ]


def test_a_target_that_is_down_is_named_with_its_error(run_module: RunModule, fake: Fake) -> None:
    error = "server returned HTTP status 401 Unauthorized"
    fake.targets = [target("node", "down", error), target("prometheus", "unknown")]
    asked = options(fake, targets_up=["prometheus", "node", "app"])
    message = run_module(metrics_probe.main, asked)["msg"]
    assert f"target node.example:1 of job 'node' is down: {error}" in message
    assert "target prometheus.example:1 of job 'prometheus' is unknown: not asked yet" in message
    assert "job 'app' has no target" in message


def test_a_server_that_is_no_prometheus(run_module: RunModule, fake: Fake) -> None:
    asked = options(fake, targets_up=["node"])
    fake.targets = None  # type: ignore[assignment]  # wrong on purpose
    message = run_module(metrics_probe.main, asked)["msg"]
    assert "/api/v1/targets does not list targets" in message


def test_a_proxy_of_the_environment_is_not_asked(
    run_module: RunModule, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    result = run_module(metrics_probe.main, options(fake, metrics=["node_load1"]))
    assert not result.get("failed")
