"""The address for which SSH is opened comes from a server, and anything else is refused."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.play_role import PlayRole


class Answer(BaseHTTPRequestHandler):
    text = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def variables() -> Iterator[dict[str, Any]]:
    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    yield {"ec2_instance_checkip_url": url, "ec2_instance_admin_cidrs": []}
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_an_address_is_taken(
    play_role: PlayRole,
    variables: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    monkeypatch.setattr(Answer, "text", b"203.0.113.7\n")
    played = play_role("ec2_instance", variables, *options, tasks_from="address")
    assert (played.status, played.changed) == (0, 0), played.output


@pytest.mark.parametrize("text", [b"<html>sign in</html>", b"300.1.1.1"])
def test_anything_else_names_the_way_around(
    play_role: PlayRole,
    variables: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    text: bytes,
) -> None:
    monkeypatch.setattr(Answer, "text", text)
    played = play_role("ec2_instance", variables, tasks_from="address")
    assert played.status != 0
    assert 'stack_admin_cidrs: ["203.0.113.7/32"]' in played.output
    assert text.decode()[:5] in played.output
