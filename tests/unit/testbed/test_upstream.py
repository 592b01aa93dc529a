from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from testbed import upstream

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Registry(http.server.BaseHTTPRequestHandler):
    status = 401

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Registry]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(upstream, "PROBE", f"http://127.0.0.1:{server.server_port}/v2/")
    monkeypatch.delenv("TESTBED_UPSTREAM", raising=False)
    yield _Registry
    _Registry.status = 401
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [200, 401])
def test_a_registry_that_answers_means_internet(registry: type[_Registry], status: int) -> None:
    registry.status = status
    assert upstream.choose() == "internet"


def test_a_proxy_that_refuses_means_mirror(registry: type[_Registry]) -> None:
    registry.status = 403
    assert upstream.choose() == "mirror"


def test_nobody_there_means_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESTBED_UPSTREAM", raising=False)
    monkeypatch.setattr(upstream, "PROBE", "http://127.0.0.1:9/v2/")
    assert upstream.choose() == "mirror"


def test_a_choice_is_not_questioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "PROBE", "http://127.0.0.1:9/v2/")
    monkeypatch.setenv("TESTBED_UPSTREAM", "internet")
    assert upstream.choose() == "internet"


def test_a_choice_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_UPSTREAM", "cloud")
    with pytest.raises(ValueError, match="auto, internet, mirror"):
        upstream.choose()
