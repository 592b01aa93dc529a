"""Ports, as they are seen from outside."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from evidence import outside

SOCKETS = """\
LISTEN 0      4096         10.0.0.7:22        0.0.0.0:*
LISTEN 0      4096       127.0.0.1:3306       0.0.0.0:*
LISTEN 0      4096            [::]:22            [::]:*
LISTEN 0      4096               *:9100             *:*
"""


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def nobody() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_what_ss_prints_is_read() -> None:
    found = outside.listening(SOCKETS)
    assert found == {22: ["10.0.0.7", "[::]"], 3306: ["127.0.0.1"], 9100: ["*"]}


def test_a_port_is_open_or_refused(listener: int, nobody: int) -> None:
    assert outside.knock("127.0.0.1", listener) == "open"
    assert outside.knock("127.0.0.1", nobody) == "refused"


@pytest.mark.parametrize(("closed", "holds"), [(False, True), (True, False)])
def test_an_open_port_must_be_meant_to_be(closed: bool, holds: bool, listener: int) -> None:
    servers = {"web": {"port": listener, "exposure": "everybody", "closed": closed}}
    (row,) = outside.ports("127.0.0.1", servers, "")
    assert (row["service"], row["seen"], row["holds"]) == ("web", "open", holds)


def test_a_port_of_no_service_must_not_answer(listener: int) -> None:
    sockets = f"LISTEN 0 5 0.0.0.0:{listener} 0.0.0.0:*"
    (row,) = outside.ports("127.0.0.1", {}, sockets)
    assert (row["service"], row["seen"], row["holds"]) == ("", "open", False)


def test_a_service_that_is_not_there_is_not_tried() -> None:
    assert outside.ports("127.0.0.1", {"web": {"port": 80, "present": False}}, "") == []
