"""`./lab logs`: containers and the journal as one stream, on a stand-in for the engine's socket."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import socketserver
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from cli import host_logs
from cli.running import ROOT
from cli.shared import units
from tests.ask import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = time.time()
# Far from the limits that are asked for: a whole run may lie between this line and a test.
AGO = {"minute": NOW - 60, "hour": NOW - 1800, "day": NOW - 43200}


def stamp(moment: float) -> str:
    text = datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "123Z")


def frame(text: str, output: int = 1) -> bytes:
    data = text.encode()
    return struct.pack(">B3xI", output, len(data)) + data


class Engine(socketserver.ThreadingUnixStreamServer):
    """The engine's API as far as it is asked: two applications, and what their containers wrote."""

    containers = (
        ("aaa", "webapp-flask-app-1", "flask-app", "webapp", False),
        ("bbb", "webapp-mysql-1", "mysql", "webapp", False),
        ("ccc", "shop-mysql-1", "mysql", "shop", True),
    )
    said: dict[str, list[bytes]]
    coming = threading.Event()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/containers/json"):
            self.whole(
                [
                    {
                        "Id": name[0],
                        "Names": [f"/{name[1]}"],
                        "Labels": {
                            "com.docker.compose.service": name[2],
                            "com.docker.compose.project": name[3],
                        },
                    }
                    for name in Engine.containers
                ]
            )
            return
        _, _, identifier, what = self.path.split("?")[0].split("/")
        if what == "json":
            terminal = {name[0]: name[4] for name in Engine.containers}[identifier]
            self.whole({"Config": {"Tty": terminal}})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in Engine.said[identifier]:
            self.chunk(part)
        if "follow=1" in self.path and identifier == "aaa":
            Engine.coming.wait(30)
            self.chunk(frame(f"{stamp(time.time())} it goes on\n"))
            Engine.coming.clear()
            Engine.coming.wait(30)
        # Whoever asked may have gone.
        with contextlib.suppress(BrokenPipeError):
            self.chunk(b"")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def whole(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "test"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs the host's program as it runs there, for what was asked."""
    Engine.said = {
        # One line in two frames, and one with an escape sequence.
        "aaa": [
            frame(f"{stamp(AGO['hour'])} GET /api"),
            frame("/users 200\n"),
            frame(f"{stamp(AGO['minute'])} title \x1b]0;owned\x07 end\n", 2),
        ],
        "bbb": [frame(f"{stamp(AGO['hour'] + 1)} ready for connections\n")],
        "ccc": [f"{stamp(AGO['minute'] + 1)} of a terminal\r\n".encode()],
    }
    Engine.coming.clear()
    socket = tmp_path / "docker.sock"
    engine = Engine(str(socket), Answer)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    programs = tmp_path / "bin"
    programs.mkdir()
    entries = [
        (AGO["day"], "prometheus.service", "Server is ready"),
        (AGO["hour"] + 0.5, "prometheus.service", "scrape failed"),
        (AGO["minute"] + 2, "ssh.service", list(b"bad \xff byte")),
    ]
    rows = "\n".join(
        json.dumps(
            {"__REALTIME_TIMESTAMP": str(int(at * 1e6)), "_SYSTEMD_UNIT": unit, "MESSAGE": m}
        )
        for at, unit, m in entries
    )
    (tmp_path / "rows").write_text(rows + "\n")
    (programs / "journalctl").write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n'
        f'case "$*" in *--unit=prometheus*) grep prometheus {tmp_path}/rows ;; '
        f"*) grep ssh {tmp_path}/rows ;; esac\n"
    )
    (programs / "systemctl").write_text(
        '#!/bin/sh\ncase "$*" in *ssh.service | *prometheus.service) echo loaded ;;'
        " *) echo not-found ;; esac\n"
    )
    for program in programs.iterdir():
        program.chmod(0o755)

    def run(**asked: object) -> subprocess.Popen[str]:
        whole = {
            "services": [],
            "units": ["prometheus.service", "labstack-*"],
            "aliases": {"flask": "flask-app", "prometheus": "prometheus.service"},
            "since": "1h",
            "grep": None,
            "lines": 200,
            "follow": False,
        }
        program = (ROOT / "cli" / "host_logs.py").read_text()
        return subprocess.Popen(
            [sys.executable, "-I", "-c", program, json.dumps(whole | asked)],
            env={"PATH": f"{programs}:{os.environ['PATH']}", "LABSTACK_DOCKER_SOCKET": str(socket)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    yield run
    Engine.coming.set()
    engine.shutdown()
    engine.server_close()


def told(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    out, err = process.communicate(timeout=60)
    return out.splitlines(), err


def words(lines: list[str]) -> list[str]:
    """Lines without their times, with one space for many."""
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line), line
    return [" ".join(line.split()[2:]) for line in lines]


def test_containers_and_units_stand_in_the_order_of_time(
    host: Callable[..., subprocess.Popen[str]],
) -> None:
    lines, err = told(host())
    assert words(lines) == [
        "flask-app GET /api/users 200",
        "prometheus scrape failed",
        "webapp-mysql-1 ready for connections",
        # What would command the terminal is shown instead.
        "flask-app title \\x1b]0;owned\\x07 end",
        "shop-mysql-1 of a terminal",
    ]
    assert err == ""
    # In columns.
    assert (
        len({line.index(word) for line, word in zip(lines, ["GET", "scrape"], strict=False)}) == 1
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"services": ["flask"]}, ["flask-app GET /api/users 200", "flask-app title"]),
        (
            {"services": ["prometheus"], "since": "2d"},
            ["prometheus Server is", "prometheus scrape"],
        ),
        ({"services": ["ssh"]}, ["ssh bad \N{REPLACEMENT CHARACTER} byte"]),
        ({"services": ["shop"]}, ["shop-mysql-1 of a terminal"]),
        ({"services": ["mysql"]}, ["webapp-mysql-1 ready", "shop-mysql-1 of a terminal"]),
        ({"grep": "scr.pe|ready", "since": "90s"}, []),
        ({"grep": "scr.pe|ready"}, ["prometheus scrape failed", "webapp-mysql-1 ready"]),
    ],
)
def test_what_is_asked_for_is_shown(
    host: Callable[..., subprocess.Popen[str]], asked: dict[str, object], expected: list[str]
) -> None:
    lines, _ = told(host(**asked))
    assert len(lines) == len(expected), lines
    for line, begin in zip(words(lines), expected, strict=True):
        assert line.startswith(begin)


def test_the_last_lines_are_shown_and_the_rest_is_told(
    host: Callable[..., subprocess.Popen[str]],
) -> None:
    lines, err = told(host(lines=1))
    assert words(lines) == ["shop-mysql-1 of a terminal"]
    assert err == "lab: the last 1 of 5 lines; -n 0 shows all\n"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"services": ["promtheus"]}, "promtheus: no container and no unit of this host has this"),
        ({"services": ["promtheus"]}, "flask-app prometheus shop-mysql-1 webapp-mysql-1"),
        ({"since": "yesterday"}, "--since yesterday: neither a time nor how long ago: 30m, 1h"),
        ({"grep": "("}, "--grep (: "),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(
    host: Callable[..., subprocess.Popen[str]], asked: dict[str, object], message: str
) -> None:
    process = host(**asked)
    lines, err = told(process)
    assert (lines, process.returncode) == ([], 2)
    assert message in err


def test_nothing_is_told_as_nothing(host: Callable[..., subprocess.Popen[str]]) -> None:
    lines, err = told(host(services=["shop"], since="1s"))
    assert (lines, err) == ([], "lab: nothing since 1s; further back: --since 1d\n")


def test_following_goes_on_and_ends_with_whoever_asked(
    host: Callable[..., subprocess.Popen[str]],
) -> None:
    process = host(services=["flask"], follow=True, lines=1)
    assert process.stdout
    assert process.stdin
    assert "title" in process.stdout.readline()
    Engine.coming.set()
    assert "it goes on" in process.stdout.readline()
    assert process.poll() is None
    # The line to the host is cut.
    process.stdin.close()
    wait_until(lambda: process.poll() is not None, 30)


def test_a_host_without_an_engine_has_its_journal(
    host: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "docker.sock").unlink()
    lines, _ = told(host(since="2d"))
    assert words(lines) == ["prometheus Server is ready", "prometheus scrape failed"]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("90s", 999_910),
        ("30m", 998_200),
        ("2d", 827_200),
        ("1w", 395_200),
        ("1970-01-02 00:00", 86_400),
        ("1970-01-02T01:00:00+01:00", 86_400),
        ("1970-01-02T00:00:00Z", 86_400),
    ],
)
def test_since(since: str, expected: int) -> None:
    assert host_logs.seconds(since, 1_000_000) == expected


def test_the_units_are_those_of_the_table() -> None:
    known, aliases = units()
    assert {"prometheus.service", "grafana-server.service", "docker.service"} <= set(known)
    assert aliases["grafana"] == "grafana-server.service"
    assert aliases["https"] == "apache"
