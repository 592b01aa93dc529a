"""The fake Grafana as a running process, and a Prometheus that knows one password."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.conftest import ROOT

BUILD = ROOT / "testbed/mirror/grafana/build.sh"
LIMIT = 15.0  # seconds that a test waits at most for something


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return the condition's first true value; fail when it has none within the limit."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        # Between two looks; the limit is above.
        time.sleep(0.02)
    pytest.fail(f"not within {LIMIT:g} s: {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Prometheus(ThreadingHTTPServer):
    """Answers queries of those who know the password."""

    daemon_threads = True

    def __init__(self) -> None:
        self.credentials = "monitor:secret"
        self.queries: list[str] = []
        super().__init__(("127.0.0.1", 0), PrometheusHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class PrometheusHandler(BaseHTTPRequestHandler):
    server: Prometheus

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(self.server.credentials.encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.send_error(401)
            return
        parts = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(parts.query).get("query", [""])[0]
        self.server.queries.append(query)
        kind, value = "vector", {"value": [1700000000.5, "42"]}
        if parts.path.endswith("query_range"):
            kind, value = "matrix", {"values": [[1700000000, "1"], [1700000005, "2"]]}
        answer = {"resultType": kind, "result": [{"metric": {"instance": "a"}, **value}]}
        body = json.dumps({"status": "success", "data": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class _KeepRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def ask(
    url: str,
    credentials: str | None = None,
    *,
    method: str | None = None,
    body: bytes | None = None,
    **headers: str,
) -> Answer:
    """Send a request; return the answer, of an error or a redirect too."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, headers=names, method=method)  # noqa: S310 - http
    if credentials is not None:
        pair = base64.b64encode(credentials.encode()).decode()
        request.add_header("Authorization", "Basic " + pair)
    opener = urllib.request.build_opener(_KeepRedirects, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=LIMIT) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read().decode())


@dataclass
class FakeGrafana:
    """The unpacked package, with its configuration, in a folder of the test."""

    package: Path
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        for name in ("datasources", "dashboards", "files"):
            (self.provisioning / name).mkdir(parents=True)
        self.configure()

    @property
    def home(self) -> Path:
        return self.package / "usr/share/grafana"

    @property
    def provisioning(self) -> Path:
        return self.folder / "provisioning"

    @property
    def files(self) -> Path:
        """The folder of the dashboards that `provide` lets Grafana read."""
        return self.provisioning / "files"

    @property
    def config(self) -> Path:
        return self.folder / "grafana.ini"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        path = self.folder / "output"
        return path.read_text() if path.exists() else ""

    def configure(self, text: str = "") -> None:
        """Write grafana.ini: where to listen, and what the test adds."""
        self.config.write_text(
            f"[server]\nhttp_addr = 127.0.0.1\nhttp_port = {self.port}\n"
            f"[paths]\ndata = {self.folder}/data\nlogs = {self.folder}/log\n"
            f"provisioning = {self.provisioning}\n{text}"
        )

    def datasource(self, url: str, file: str = "datasources.yaml", **values: Any) -> None:
        """Provision a Prometheus."""
        source = {
            "name": "Prometheus",
            "uid": "prometheus",
            "type": "prometheus",
            "url": url,
            "basicAuth": True,
            "basicAuthUser": "monitor",
            "secureJsonData": {"basicAuthPassword": "secret"},
            **values,
        }
        text = yaml.safe_dump({"apiVersion": 1, "datasources": [source]})
        (self.provisioning / "datasources" / file).write_text(text)

    def provide(self, name: str = "own", interval: float = 0.1, **values: Any) -> None:
        """Provision the folder of dashboards."""
        options = {"path": str(self.files), **values.pop("options", {})}
        entry = {"name": name, "updateIntervalSeconds": interval, "options": options, **values}
        text = yaml.safe_dump({"apiVersion": 1, "providers": [entry]})
        (self.provisioning / "dashboards" / f"{name}.yaml").write_text(text)

    def dashboard(self, uid: str, title: str, name: str | None = None, **values: Any) -> Path:
        """Write a dashboard's file, in one step as a well-behaved writer does."""
        path = self.files / f"{name or uid}.json"
        path.with_suffix(".new").write_text(json.dumps({"uid": uid, "title": title, **values}))
        path.with_suffix(".new").replace(path)
        return path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.home / "bin/grafana"), *arguments]

    def start(self, notify: Path | None = None) -> None:
        """Start the server, without waiting for anything."""
        environment = {**os.environ, **({"NOTIFY_SOCKET": str(notify)} if notify else {})}
        with (self.folder / "output").open("a") as output:
            self.process = subprocess.Popen(
                self.command("server", f"--homepath={self.home}", f"--config={self.config}"),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
            )

    def up(self) -> None:
        """Start the server, and wait until it has read what it shall provision."""
        seen = self.log.count("starting to provision dashboards")
        self.start()
        until(
            lambda: self.log.count("starting to provision dashboards") > seen or self.ended,
            f"a start of the fake: {self.log}",
        )
        assert not self.ended, self.log

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def exit_code(self) -> int:
        """Wait until the server has ended by itself."""
        assert self.process is not None
        return self.process.wait(LIMIT)

    def down(self) -> int:
        """Stop the server as systemd does; return its exit code."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    def reset_password(self, password: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a role does."""
        options = [f"--homepath={self.home}", f"--config={self.config}"]
        tail = ["admin", "reset-admin-password", "--password-from-stdin", *arguments]
        return subprocess.run(
            self.command("cli", *options, *tail),
            input=password + "\n",
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def get(self, path: str, credentials: str | None = "admin:admin", **values: Any) -> Answer:
        return ask(self.url + path, credentials, **values)

    def titles(self) -> list[str]:
        return [entry["title"] for entry in self.get("/api/search?type=dash-db").json]


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package, built."""
    folder = tmp_path_factory.mktemp("deb")
    done = subprocess.run([BUILD, folder, "13.2.3"], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def package(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package, unpacked."""
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    return folder


@pytest.fixture
def grafana(package: Path, tmp_path: Path) -> Iterator[FakeGrafana]:
    """Return the fake, configured and not running."""
    fake = FakeGrafana(package, tmp_path)
    yield fake
    fake.down()


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    with Prometheus() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
