"""Dashboards of grafana.com are fetched once, by the controller, and prepared for the host."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.play_role import PlayRole

BODY = json.dumps({"uid": "node", "title": "Node Exporter Full", "id": 12}).encode()
ENTRY = {"id": 1860, "revision": 1, "sha256": hashlib.sha256(BODY).hexdigest()}


class Upstream(ThreadingHTTPServer):
    """grafana.com, with one dashboard."""

    daemon_threads = True
    requests: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if self.path != "/api/dashboards/1860/revisions/1/download":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def variables(upstream: Upstream, tmp_path: Path, **entry: Any) -> dict[str, Any]:
    return {
        "grafana_imported_dashboards": [{**ENTRY, **entry}],
        "grafana_dashboard_base_url": f"http://127.0.0.1:{upstream.server_address[1]}",
        "grafana_dashboard_cache": str(tmp_path / "cache"),
    }


def test_check_mode_tells_what_would_come_and_nothing_is_fetched_twice(
    play_role: PlayRole, upstream: Upstream, tmp_path: Path
) -> None:
    asked = variables(upstream, tmp_path)
    for _ in range(2):
        played = play_role("grafana", asked, "--check", "--diff", tasks_from="dashboards")
        assert (played.status, played.changed) == (0, 1), played.output
        assert "/etc/grafana/dashboards/grafana-com-1860.json" in played.output
        written = '{"uid":"node","title":"Node Exporter Full","tags":["grafana-com-1860"]}'
        assert written in played.output
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"sha256": "0" * 64}, "change the sha256 beside it"),
        ({"revision": 2}, "is there such a dashboard and revision?"),
    ],
)
def test_a_failure_says_what_to_try(
    play_role: PlayRole, upstream: Upstream, tmp_path: Path, entry: dict[str, Any], words: str
) -> None:
    asked = variables(upstream, tmp_path, **entry)
    played = play_role("grafana", asked, "--check", tasks_from="dashboards")
    assert played.status != 0
    assert words in " ".join(played.output.split())


def test_a_title_that_is_there_twice_is_refused(
    play_role: PlayRole, upstream: Upstream, tmp_path: Path
) -> None:
    asked = variables(upstream, tmp_path, title="Alertas")
    played = play_role("grafana", asked, "--check", tasks_from="dashboards")
    assert played.status != 0
    assert "grafana_imported_dashboards, or give it a title" in " ".join(played.output.split())
