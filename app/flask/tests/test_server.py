"""The application in its server, with the image's own configuration."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ADMIN_PASSWORD, basic
from webapp.config import Settings

FLASK = Path(__file__).parents[1]
# Seconds in which a server that is told to stop must have answered all.
DRAIN = 10.0
# The application, with a page that takes its time.
SLOW = """
import os, time
from webapp import create_app as create

def create_app():
    app = create()

    @app.get("/slow")
    def slow():
        print("slow", flush=True)
        # What the server has to wait for when it is told to stop.
        time.sleep(float(os.environ["SLOW"]))
        return "done"

    return app
"""


@dataclass
class Serving:
    """A running server."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(self, request: bytes) -> bytes:
        """Send bytes; return all that comes back until the server closes."""
        with closing(self.connect()) as connection:
            # A server that has heard enough closes; what it says is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer


Serve = Callable[..., Serving]


@pytest.fixture
def serve(settings: Settings, tmp_path: Path) -> Iterator[Serve]:
    """Start the server as the image does: serve(slow=2)."""
    running: list[Serving] = []

    def start(slow: float = 1) -> Serving:
        (tmp_path / "slow.py").write_text(SLOW)
        for name, value in (
            ("webapp_db_password", settings.database_password),
            ("webapp_secret_key", settings.secret_key),
        ):
            (tmp_path / name).write_text(value)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from serve import serve; serve('slow:create_app', '127.0.0.1', {port})",
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": f"{FLASK}:{tmp_path}",
                "MYSQL_HOST": settings.database_host,
                "MYSQL_PORT": str(settings.database_port),
                "WEBAPP_SECRETS_DIR": str(tmp_path),
                "SLOW": str(slow),
            },
            stdout=subprocess.PIPE,
            text=True,
            # It and the process that serves end together.
            start_new_session=True,
        )
        serving = Serving(process, port)
        running.append(serving)
        limit = time.monotonic() + 20
        while True:
            assert process.poll() is None
            try:
                serving.connect().close()
            except ConnectionRefusedError:
                assert time.monotonic() < limit
                # Until it listens; only asking again shows that it does.
                time.sleep(0.05)
            else:
                return serving

    yield start
    for serving in running:
        with suppress(ProcessLookupError):
            os.killpg(serving.process.pid, signal.SIGKILL)
        serving.process.communicate()


def test_a_stop_lets_requests_under_way_be_answered(serve: Serve) -> None:
    server = serve(slow=2)
    with closing(server.connect()) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert server.process.stdout
        assert server.process.stdout.readline() == "slow\n"
        server.process.send_signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"done")
    assert server.process.wait(timeout=DRAIN) == 0


def test_a_stop_waits_for_nobody_longer_than_that(serve: Serve) -> None:
    server = serve(slow=60)
    with closing(server.connect()) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert server.process.stdout
        assert server.process.stdout.readline() == "slow\n"
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=DRAIN + 4)


def test_an_idle_connection_does_not_delay_a_stop(serve: Serve) -> None:
    server = serve()
    with closing(server.connect()) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=5) == 0


@pytest.mark.parametrize("size", [70_000, 1_000_000, 10_000_000])
def test_too_large_a_body_without_a_length_is_413(serve: Serve, size: int) -> None:
    login = basic("admin", ADMIN_PASSWORD)["Authorization"]
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer = serve().ask(
        b"POST /api/products HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nTransfer-Encoding: chunked\r\nAuthorization: "
        + login.encode()
        + b"\r\n\r\n"
        + chunk * (size // 65536 + 1)
        + b"0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"status":413' in answer


@pytest.mark.parametrize(
    "request_line",
    [b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
     b"GET /%zz\0 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_4xx(serve: Serve, request_line: bytes) -> None:
    assert serve().ask(request_line).startswith(b"HTTP/1.1 4")


def test_beside_chunks_a_length_does_not_count(serve: Serve) -> None:
    """Counted by length, what follows the last chunk would be a request of its own."""
    answer = serve().ask(
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2a\r\n"
        b"GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n.\r\n0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1 ") == 1
