"""public_address: the address comes from a server, and anything else is refused."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import public_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.conftest import RunModule


class Answer(BaseHTTPRequestHandler):
    text = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def options() -> Iterator[dict[str, str]]:
    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "url": f"http://127.0.0.1:{server.server_address[1]}",
        "variable": "stack_admin_cidrs",
    }
    server.shutdown()


def test_the_address_is_a_network_of_one(
    run_module: RunModule, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answer, "text", b"203.0.113.7\n")
    result = run_module(public_address.main, options)
    assert (result["cidr"], result["changed"]) == ("203.0.113.7/32", False)


@pytest.mark.parametrize("text", [b"", b"<html>sign in</html>", b"2001:db8::1", b"300.1.1.1"])
def test_anything_else_names_the_way_around(
    run_module: RunModule,
    options: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    text: bytes,
) -> None:
    monkeypatch.setattr(Answer, "text", text)
    result = run_module(public_address.main, options)
    assert result["failed"]
    assert 'stack_admin_cidrs: ["203.0.113.7/32"]' in result["msg"]


def test_no_server(run_module: RunModule) -> None:
    options = {"url": "http://127.0.0.1:9", "variable": "stack_admin_cidrs"}
    assert "stack_admin_cidrs" in run_module(public_address.main, options)["msg"]
