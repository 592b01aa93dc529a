"""The probes of Prometheus and Node Exporter, against a server that answers as they do."""

from __future__ import annotations

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.play_role import PlayRole

METRICS = """node_cpu_seconds_total{cpu="0"} 1
node_memory_MemAvailable_bytes 5
node_filesystem_avail_bytes{mountpoint="/"} 7
"""


class Fake(ThreadingHTTPServer):
    """Answers by path, to everybody or to those who know the password."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, str] = {"/metrics": METRICS}
        self.credentials = ""
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def runs(self, config_time: str, **health: str) -> None:
        """Answer as a Prometheus with a configuration of that time and these targets."""
        runtime = {"reloadConfigSuccess": True, "lastConfigTime": config_time}
        targets = [
            {
                "labels": {"job": job, "instance": f"{job}:1"},
                "health": state,
                "lastError": "" if state == "up" else "connection refused",
            }
            for job, state in health.items()
        ]
        self.answers["/api/v1/status/runtimeinfo"] = json.dumps({"data": runtime})
        self.answers["/api/v1/targets"] = json.dumps({"data": {"activeTargets": targets}})


class Handler(BaseHTTPRequestHandler):
    server: Fake

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(self.server.credentials.encode()).decode()
        if self.server.credentials and self.headers.get("Authorization") != wanted:
            self.send_error(401)
            return
        body = self.server.answers[self.path.partition("?")[0]].encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if body[:1] == b"{" else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """A server, and a journal."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "journalctl"
    program.write_text("#!/bin/sh\necho the words of the journal\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with Fake() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def prometheus(fake: Fake) -> dict[str, Any]:
    return {
        "prometheus_listen_address": fake.address,
        "prometheus_ready_timeout": 1,
        "prometheus_jobs": [{"name": "node"}, {"name": "web"}],
        # This machine has no files of Prometheus.
        "__prometheus_written_at": "2026-01-02T00:00:00Z",
    }


def said(output: str) -> str:
    """Return a run's output in one line, since a message may be broken anywhere."""
    return " ".join(output.split())


def test_a_prometheus_that_is_right(play_role: PlayRole, fake: Fake) -> None:
    fake.runs("2026-01-02T00:00:00Z", node="up", web="up", other="down")
    played = play_role("prometheus", prometheus(fake), tasks_from="probe")
    assert (played.status, played.changed) == (0, 0), played.output


def test_a_target_that_is_down_is_named_with_its_error(play_role: PlayRole, fake: Fake) -> None:
    fake.runs("2026-01-02T00:00:00Z", node="down")
    played = play_role("prometheus", prometheus(fake), tasks_from="probe")
    assert played.status != 0
    message = said(played.output)
    assert "job web has no target." in message
    assert "target node:1 of job node is down: connection refused." in message
    assert "the words of the journal" in message
    assert f"curl http://{fake.address}/api/v1/targets" in message


def test_a_configuration_that_is_not_in_use(play_role: PlayRole, fake: Fake) -> None:
    fake.runs("2026-01-01T00:00:00Z", node="up", web="up")
    played = play_role("prometheus", prometheus(fake), tasks_from="probe")
    assert played.status != 0
    assert "written at 2026-01-02T00:00:00Z, but that of 2026-01-01" in said(played.output)


def test_a_metric_that_is_missing_is_named(play_role: PlayRole, fake: Fake) -> None:
    asked = {"node_exporter_listen_address": fake.address, "__node_exporter_tries": 1}
    played = play_role("node_exporter", asked, tasks_from="probe")
    assert (played.status, played.changed) == (0, 0), played.output

    fake.answers["/metrics"] = METRICS.replace("node_memory_", "node_memory_not_")
    played = play_role("node_exporter", asked, tasks_from="probe")
    assert played.status != 0
    assert "no sample is served of node_memory_MemAvailable_bytes" in said(played.output)


def test_a_wrong_password_is_named_as_such_and_none_is_enough(
    play_role: PlayRole, fake: Fake
) -> None:
    fake.credentials = "monitor:right"
    asked = {"node_exporter_listen_address": fake.address}
    assert play_role("node_exporter", asked, tasks_from="probe").status == 0

    asked |= {"node_exporter_probe_user": "monitor", "node_exporter_probe_password": "wrong-one"}
    played = play_role("node_exporter", asked, tasks_from="probe")
    assert played.status != 0
    assert "it does not take the password of monitor" in said(played.output)
    assert "wrong-one" not in played.output
