"""The verification, with the roles' own checks, against small servers that play the stack."""

from __future__ import annotations

import base64
import contextlib
import http.server
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from ansible_collections.labstack.stack.plugins.action import stack_verify as verify
from ansible_collections.labstack.stack.plugins.module_utils import http as client
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.conftest import ROOT
from tests.unit.roles.rendering import evaluate

PASSWORDS = {
    "webapp": "webappPassword0123456789",
    "monitoring": "monitoringPassword012345",
    "grafana": "grafanaPassword012345678",
}
CHECKS = {
    path.parts[-3]: yaml.safe_load(path.read_text())
    for path in sorted(ROOT.glob("roles/*/checks/main.yml"))
}
DASHBOARDS = [
    json.loads(path.read_text(encoding="utf-8"))["title"]
    for path in sorted(ROOT.glob("roles/grafana/files/dashboards/*.json"))
]


class _Handler(http.server.BaseHTTPRequestHandler):
    """Gives each request to a function (method, path, body) -> (status, headers, body)."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[_Handler, str], tuple[int, dict[str, str], str]]

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        status, headers, body = type(self).answer(self, self.rfile.read(length).decode())
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self) -> None:
        self._any()

    def do_POST(self) -> None:
        self._any()

    def do_DELETE(self) -> None:
        self._any()

    def log_message(self, *_args: object) -> None:
        pass

    def login(self) -> str:
        """Return NAME:PASSWORD of the request."""
        text = self.headers.get("Authorization", "Basic ").removeprefix("Basic ")
        return base64.b64decode(text).decode()


Answer = tuple[int, dict[str, str], str]
HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return status, {**JSON, **headers}, json.dumps(value)


@dataclass
class Stack:
    """The stack's pages and interfaces, with what a test changes of them."""

    products: dict[int, dict[str, Any]] = field(default_factory=dict)
    next_id: int = 1
    requests: list[str] = field(default_factory=list)
    # Answers that a test puts in place of the right ones, by method and path.
    instead: dict[str, Answer | Callable[[], Answer]] = field(default_factory=dict)
    open_to_all: bool = False
    ports: dict[str, int] = field(default_factory=dict)
    # Numbers of the dashboards of grafana.com that Grafana has.
    imported: list[int] = field(default_factory=lambda: [1860])

    def answer(self, part: str, request: _Handler, body: str) -> Answer:
        parts = urlsplit(request.path)
        key = f"{part} {request.command} {parts.path}"
        self.requests.append(key)
        if key in self.instead:
            instead = self.instead[key]
            return instead() if callable(instead) else instead
        play: Callable[[_Handler, str, dict[str, str], str], Answer] = getattr(self, part)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return play(request, parts.path, query, body)

    def http(self, request: _Handler, path: str, query: dict[str, str], body: str) -> Answer:
        if path.startswith("/api/"):
            return self._api(request, path, query, body)
        if path == "/metrics":
            return 403, HTML, "<h1>Forbidden</h1>"
        return as_json({"status": "ok"}) if path == "/readyz" else (200, HTML, "<h1>Hola</h1>")

    https = http

    def _api(self, request: _Handler, path: str, query: dict[str, str], body: str) -> Answer:
        if request.command == "GET" and path == "/api/products":
            per_page, page = int(query["per_page"]), int(query["page"])
            assert per_page <= 100
            assert query["sort"] == "-id"
            rows = [
                self.products[number]
                for number in sorted(self.products, reverse=True)
                if query["q"] in self.products[number]["name"]
            ]
            return as_json(
                {
                    "items": rows[(page - 1) * per_page : page * per_page],
                    "total": len(rows),
                    "pages": max(1, -(-len(rows) // per_page)),
                }
            )
        guarded = request.command != "GET" or path == "/api/users"
        if guarded and request.login() != f"admin:{PASSWORDS['webapp']}":
            return as_json({"error": "unauthorized"}, 401)
        if request.command == "POST":
            row = {"id": self.next_id, **json.loads(body)}
            self.next_id += 1
            self.products[row["id"]] = row
            return as_json(row, 201, Location=f"/api/products/{row['id']}")
        return self._product(request.command, int(path.rpartition("/")[2]))

    def _product(self, method: str, number: int) -> Answer:
        if number not in self.products:
            return as_json({"error": "not found"}, 404)
        if method == "DELETE":
            del self.products[number]
            return 204, {}, ""
        return as_json(self.products[number])

    def prometheus(
        self, request: _Handler, path: str, _query: dict[str, str], _body: str
    ) -> Answer:
        if not self.open_to_all and request.login() != f"monitor:{PASSWORDS['monitoring']}":
            return 401, {}, "Unauthorized"
        target = {"scrapePool": "prometheus", "scrapeUrl": "http://x/metrics", "health": "up"}
        rule = {"name": "HighCPUUsage", "health": "ok"}
        answers = {
            "/-/ready": (200, {}, "Ready"),
            "/api/v1/targets": as_json(
                {"data": {"activeTargets": [target, {**target, "scrapePool": "node"}]}}
            ),
            "/api/v1/rules": as_json(
                {
                    "data": {
                        "groups": [
                            {"name": "node-alerts", "rules": [rule]},
                            {"name": "prometheus-alerts", "rules": [{**rule, "name": "Watchdog"}]},
                        ]
                    }
                }
            ),
            "/api/v1/status/buildinfo": as_json({}),
        }
        return answers[path]

    def node_exporter(
        self, request: _Handler, _path: str, _query: dict[str, str], _body: str
    ) -> Answer:
        if not self.open_to_all and request.login() != f"monitor:{PASSWORDS['monitoring']}":
            return 401, {}, "Unauthorized"
        lines = ["# TYPE node_cpu_seconds_total counter", 'node_cpu_seconds_total{cpu="0"} 1.5']
        lines += ["node_memory_MemAvailable_bytes 5e+08", "node_filesystem_avail_bytes{} 1e+09"]
        return 200, {}, "\n".join([*lines, ""])

    def grafana(self, request: _Handler, path: str, query: dict[str, str], _body: str) -> Answer:
        if path == "/api/health":
            return as_json({"database": "ok", "version": "13.2.3"})
        if request.login() != f"admin:{PASSWORDS['grafana']}":
            return as_json({"message": "Invalid username or password"}, 401)
        if path == "/api/search":
            assert query["type"] == "dash-db"
            tags = [f"grafana-com-{number}" for number in self.imported]
            imported = [{"title": f"Of {tag}", "tags": ["linux", tag]} for tag in tags]
            return as_json([{"title": title, "tags": []} for title in DASHBOARDS] + imported)
        answers = {
            "/api/user": as_json({"login": "admin"}),
            "/api/datasources/uid/prometheus/health": as_json({"status": "OK", "message": ""}),
        }
        return answers[path]


def certificate(directory: Path, name: x509.GeneralName, days: tuple[int, int] = (-1, 30)) -> Path:
    """Make a self-signed certificate for a name, valid from and to so many days from now.

    Returns:
        A file with the key and the certificate.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "labstack")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = directory / "server.pem"
    file.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return file


def ip(address: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(address))


@pytest.fixture(scope="module")
def good_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), ip("127.0.0.1"))


@contextlib.contextmanager
def serving(answer: Callable[[_Handler, str], Answer], pem: Path | None = None) -> Iterator[int]:
    """Serve on a port of its own, with TLS where there is a certificate; yields the port."""
    handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # A client that only looks at the certificate is no reason for a traceback.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # meant
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def stack(good_certificate: Path) -> Iterator[Stack]:
    stack = Stack()
    with contextlib.ExitStack() as running:
        for part in ("http", "https", "prometheus", "node_exporter", "grafana"):

            def answer(request: _Handler, body: str, part: str = part) -> Answer:
                return stack.answer(part, request, body)

            pem = good_certificate if part == "https" else None
            stack.ports[part] = running.enter_context(serving(answer, pem))
        yield stack


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "RETRY_PAUSE", 0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number


def options(stack: Stack, **servers: dict[str, Any] | None) -> dict[str, Any]:
    """Return the module's options; `servers` are changed words of some, or None: not there."""
    known: dict[str, dict[str, Any]] = {
        "http": {},
        "https": {"scheme": "https", "user": "admin", "password": PASSWORDS["webapp"]},
        "prometheus": {
            "user": "monitor",
            "password": PASSWORDS["monitoring"],
            "jobs": ["prometheus", "node"],
        },
        "node_exporter": {"user": "monitor", "password": PASSWORDS["monitoring"]},
        "grafana": {"user": "admin", "password": PASSWORDS["grafana"], "dashboards": [1860]},
    }
    for name, words in known.items():
        words["port"] = stack.ports[name]
    known["mysql"] = {"port": free_port(), "closed": True}
    for changed, words_or_none in servers.items():
        known[changed] = {**known[changed], **(words_or_none or {"present": False})}
    return {
        "address": "127.0.0.1",
        "ssh_command": "ssh ubuntu@127.0.0.1",
        "timeout": 0.3,
        "request_timeout": 5.0,
        "must_hold": True,
        "servers": known,
        "roles": str(ROOT / "roles"),
    }


def passes(given: dict[str, Any], check: bool = False) -> dict[str, Any]:
    result = verify.look(given, check)
    assert not result.get("failed"), result["msg"]
    assert result["changed"] is False
    return result


def names(result: dict[str, Any]) -> list[str]:
    return [check["name"] for check in result["checks"]]


def fails(given: dict[str, Any]) -> str:
    """Return the message of a failure: for every check what was seen, its cause and a command."""
    result = verify.look(given)
    assert result.get("failed"), result
    text: str = result["msg"]
    numbers = len(re.findall(r"^\d+\. ", text, re.MULTILINE))
    for word in ("   seen:  ", "   cause: ", "   -> "):
        assert text.count(word) == numbers, text
    return text


# --- All is well ------------------------------------------------------------------------------


def test_all_is_well(stack: Stack) -> None:
    result = passes(options(stack))
    assert result["msg"] == "19 checks passed"
    assert all(check["passed"] and check["seen"] for check in result["checks"])
    assert result["left_out"] == []
    assert stack.products == {}, "nothing is left behind"


def test_no_password_is_ever_shown(stack: Stack) -> None:
    shown = [verify.look(options(stack))]
    stack.instead["grafana GET /api/user"] = as_json({"message": "no"}, 401)
    stack.instead["prometheus GET /-/ready"] = (503, {}, "not ready")
    shown.append(verify.look(options(stack)))
    assert shown[1].get("failed")
    for password in PASSWORDS.values():
        assert password not in json.dumps(shown)


def test_parts_can_be_left_out(stack: Stack) -> None:
    absent = dict.fromkeys(("http", "https", "grafana", "prometheus", "mysql"))
    assert names(passes(options(stack, **absent))) == [
        "Node Exporter serves its metrics",
        "Node Exporter asks for a password",
    ]
    assert {request.split(" ")[0] for request in stack.requests} == {"node_exporter"}


def test_a_proxy_of_the_controller_is_not_used(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    passes(options(stack))


def test_what_has_just_started_gets_time(stack: Stack) -> None:
    tries = iter([(503, HTML, "soon"), (502, HTML, "soon")])
    right = (200, HTML, "<h1>Usuarios</h1>")
    stack.instead["https GET /"] = lambda: next(tries, right)
    passes({**options(stack), "timeout": 5})


def test_redirects_are_followed(stack: Stack) -> None:
    to = f"https://127.0.0.1:{stack.ports['https']}/"
    stack.instead["http GET /"] = (301, {"Location": to}, "")
    passes(options(stack))


def test_a_login_does_not_follow_to_another_server(stack: Stack) -> None:
    seen: list[str] = []

    def other(request: _Handler, _body: str) -> Answer:
        seen.append(request.login())
        return 200, {}, "x"

    with serving(other) as port:
        stack.instead["http GET /"] = (302, {"Location": f"http://localhost:{port}/"}, "")
        site = client.Client(f"http://127.0.0.1:{stack.ports['http']}", 2, "admin", "secret")
        assert site.ask("GET", "/").body == "x"
    assert seen == [""]


# --- The web application ----------------------------------------------------------------------


def test_a_page_that_is_no_page(stack: Stack) -> None:
    stack.instead["http GET /"] = as_json({})
    text = fails(options(stack))
    assert text.startswith("1 of 19 checks failed:")
    assert "has no html, but application/json" in text
    assert "ssh ubuntu@127.0.0.1 'sudo docker compose -p webapp logs --tail 50 apache'" in text


def test_an_application_without_its_database(stack: Stack) -> None:
    error = as_json({"error": "database unavailable"}, 503)
    for request in ("GET /readyz", "GET /products", "GET /api/products"):
        stack.instead[f"https {request}"] = error
    text = fails(options(stack))
    assert text.startswith("3 of 19 checks failed:")
    assert text.count('answers 503: {"error": "database unavailable"}') == 1
    assert "1. health of the application: failed" in text
    assert "also failed: product page, product written, read and deleted" in text
    assert "2. " not in text
    assert "logs --tail 50 flask-app mysql" in text


def test_a_product_is_written_over_tls(stack: Stack) -> None:
    verify.look(options(stack))
    writing = [r for r in stack.requests if "POST" in r or "DELETE" in r]
    assert writing == ["https POST /api/products", "https DELETE /api/products/1"]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before another look, none of which is taken; a list that grows."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def test_a_wrong_password_is_not_tried_for_a_minute(stack: Stack, pauses: list[float]) -> None:
    text = fails({**options(stack, https={"password": "wrongPassword0123"}), "timeout": 60})
    assert pauses == []
    assert "POST" in text
    assert "answers 401" in text


def test_a_product_that_changes_on_the_way(stack: Stack) -> None:
    stack.instead["https GET /api/products/1"] = as_json({"id": 1, "name": "?"})
    assert "name is '?'" in fails(options(stack))
    assert stack.products == {}, "deleted even when it is not what was written"


def test_rows_of_killed_verifications_are_deleted(stack: Stack) -> None:
    now = int(time.time())
    names = [
        "Café",
        "labstack-verify",
        "labstack-verify yesterday",
        f"labstack-verify {now} 00",  # another verification, at work now
        f"labstack-verify {now - 3600} 00",
    ]
    stack.products = {number: {"id": number, "name": n} for number, n in enumerate(names, 1)}
    stack.next_id = 6
    passes(options(stack))
    assert [row["name"] for row in stack.products.values()] == names[:4]


def test_a_long_list_is_not_read_in_full(stack: Stack) -> None:
    old = int(time.time()) - 3600
    stack.products = {number: {"id": number, "name": "x"} for number in range(1, 3001)}
    stack.products[2600] = {"id": 2600, "name": f"labstack-verify {old} 00"}
    stack.next_id = 3001
    passes(options(stack))
    assert 2600 not in stack.products
    assert stack.requests.count("https GET /api/products") <= 7


def test_check_mode_only_reads(stack: Stack) -> None:
    result = passes(options(stack), check=True)
    assert result["msg"] == "18 checks passed, 1 left out in check mode"
    assert result["left_out"] == ["product written, read and deleted"]
    assert all(" GET " in request for request in stack.requests)


def test_check_mode_does_not_wait_for_what_does_not_run(stack: Stack, pauses: list[float]) -> None:
    given = {**options(stack, grafana={"port": free_port()}), "timeout": 60}
    result = passes(given, check=True)
    assert pauses == []
    assert "Grafana is healthy" in result["left_out"]
    assert "Prometheus is ready" in names(result)


# --- The certificate --------------------------------------------------------------------------


def tls_problem(pem: Path, address: str = "127.0.0.1") -> str:
    with serving(lambda *_: (200, {}, ""), pem) as port:
        try:
            server = verify.Server(address, 2, port, "https")
            verify.certificate_holds(verify.Check("webapp", "", server, ROOT / "roles/webapp", ""))
        except verify.NeverError as error:
            return str(error)
    return ""


def test_a_certificate_for_the_address(good_certificate: Path, tmp_path: Path) -> None:
    assert tls_problem(good_certificate) == ""
    assert tls_problem(certificate(tmp_path, x509.DNSName("localhost")), "localhost") == ""


def test_a_certificate_for_another_address(tmp_path: Path) -> None:
    problem = tls_problem(certificate(tmp_path, ip("203.0.113.7")))
    assert "IP address mismatch" in problem
    assert "127.0.0.1" in problem


@pytest.mark.parametrize(("days", "words"), [((-3, -1), "expired"), ((1, 3), "not yet valid")])
def test_a_certificate_of_another_time(tmp_path: Path, days: tuple[int, int], words: str) -> None:
    assert words in tls_problem(certificate(tmp_path, ip("127.0.0.1"), days))


def test_the_password_goes_to_the_hosts_own_certificate_alone(
    stack: Stack, good_certificate: Path, tmp_path: Path
) -> None:
    own = good_certificate.read_text()
    result = passes(options(stack, https={"certificate": own}))
    assert "certificate names the address" in names(result)

    stack.requests.clear()
    another = certificate(tmp_path, ip("127.0.0.1")).read_text()
    text = fails(options(stack, https={"certificate": another}))
    assert "somebody sits between" in text
    assert "is not the host's, so no password is sent there" in text
    assert "https POST /api/products" not in stack.requests


def test_authorities_that_are_not_there_are_told(stack: Stack) -> None:
    text = fails(options(stack, https={"trusted": True, "ca_file": "/nowhere/ca.pem"}))
    assert "no authorities to check the certificate by" in text
    assert "/nowhere/ca.pem" in text


def test_a_certificate_that_must_be_trusted(stack: Stack, good_certificate: Path) -> None:
    text = fails(options(stack, https={"trusted": True}))
    assert "certificate is trusted: failed" in text
    assert "self-signed certificate" in text
    assert "systemctl start labstack-certificate" in text
    # It is its own authority.
    own = {"trusted": True, "ca_file": str(good_certificate)}
    assert "certificate is trusted" in names(passes(options(stack, https=own)))


def test_a_port_without_tls(stack: Stack) -> None:
    text = fails(options(stack, https={"port": stack.ports["http"]}))
    assert f"no TLS on port {stack.ports['http']}" in text


# --- Ports, Prometheus, Node Exporter ---------------------------------------------------------


def test_a_port_that_should_be_closed(stack: Stack, pauses: list[float]) -> None:
    port = stack.ports["grafana"]
    text = fails({**options(stack, mysql={"port": port}), "timeout": 60})
    assert pauses == [], "waiting does not close a port"
    assert f"port {port} of 127.0.0.1 can be reached from here" in text
    assert f"ssh ubuntu@127.0.0.1 \"sudo ss -ltnp 'sport = :{port}'\"" in text


def test_interfaces_without_a_password(stack: Stack) -> None:
    stack.open_to_all = True
    text = fails({**options(stack), "timeout": 60})
    assert text.startswith("2 of 19")
    assert text.count("can be read from here, without a password") == 2


def test_without_a_monitoring_user_nobody_is_asked(stack: Stack) -> None:
    stack.open_to_all = True
    nobody = {"user": ""}
    result = passes(options(stack, prometheus=nobody, node_exporter=nobody))
    assert len(result["checks"]) == 17


@pytest.mark.parametrize("health", ["down", "unknown"])
def test_a_target_that_is_not_up(stack: Stack, health: str) -> None:
    target = {"scrapeUrl": "http://x:9100/metrics", "health": health, "lastError": "refused"}
    targets = [
        {**target, "scrapePool": "node"},
        {**target, "scrapePool": "prometheus", "health": "up"},
    ]
    stack.instead["prometheus GET /api/v1/targets"] = as_json({"data": {"activeTargets": targets}})
    text = fails(options(stack))
    assert f"target node http://x:9100/metrics is {health} (refused)" in text
    passes(options(stack, prometheus={"may_be_down": ["node"]}))


def test_a_job_without_a_target(stack: Stack) -> None:
    jobs = ["prometheus", "node", "mysqld"]
    assert "no target of the job mysqld" in fails(options(stack, prometheus={"jobs": jobs}))


def test_a_rule_that_is_missing(stack: Stack) -> None:
    stack.instead["prometheus GET /api/v1/rules"] = as_json({"data": {"groups": []}})
    text = fails(options(stack))
    assert "missing: node-alerts/HighCPUUsage, prometheus-alerts/Watchdog; loaded: none" in text


def test_a_rule_that_cannot_be_evaluated(stack: Stack) -> None:
    rule = {"name": "HighCPUUsage", "health": "err", "lastError": "many-to-many matching"}
    good = {"name": "prometheus-alerts", "rules": [{"name": "Watchdog", "health": "ok"}]}
    stack.instead["prometheus GET /api/v1/rules"] = as_json(
        {"data": {"groups": [{"name": "node-alerts", "rules": [rule]}, good]}}
    )
    assert "node-alerts/HighCPUUsage fails: many-to-many" in fails(options(stack))


def test_a_metric_that_is_missing(stack: Stack) -> None:
    text = "node_cpu_seconds_total_of_others 1\nnode_memory_MemAvailable_bytes 5e+08\n"
    stack.instead["node_exporter GET /metrics"] = (200, {}, text)
    nobody = options(stack, node_exporter={"user": ""})
    assert "missing: node_cpu_seconds_total, node_filesystem_avail_bytes" in fails(nobody)


# --- Grafana ----------------------------------------------------------------------------------


def test_a_changed_password_is_told_once(stack: Stack, pauses: list[float]) -> None:
    text = fails({**options(stack, grafana={"password": "otherPassword0123"}), "timeout": 60})
    assert pauses == []
    assert text.startswith("3 of 19 checks failed:")
    assert "1. Grafana takes the login: failed" in text
    assert "also failed: Grafana reads Prometheus, dashboards are there" in text
    assert "the password of admin was changed since the last run of site.yml" in text
    assert "   -> ./lab run ansible-playbook site.yml" in text
    assert "2. " not in text


def test_a_data_source_that_does_not_work(stack: Stack) -> None:
    stack.instead["grafana GET /api/datasources/uid/prometheus/health"] = as_json(
        {"status": "ERROR", "message": "401 Unauthorized"}
    )
    assert "status: ERROR (401 Unauthorized)" in fails(options(stack))


def test_a_dashboard_that_is_missing(stack: Stack) -> None:
    there = [{"title": title, "tags": []} for title in DASHBOARDS if title != "Espacio en disco"]
    stack.instead["grafana GET /api/search"] = as_json(there)
    text = fails(options(stack))
    assert "missing: Espacio en disco, grafana-com-1860; there: Alertas, " in text


@pytest.mark.parametrize("numbers", [[], [1860], [3662, 14057]])
def test_the_dashboards_are_those_that_the_user_names(stack: Stack, numbers: list[int]) -> None:
    stack.imported = numbers
    passes(options(stack, grafana={"dashboards": numbers}))
    stack.imported = []
    if numbers:
        text = fails(options(stack, grafana={"dashboards": numbers}))
        assert f"missing: {', '.join(f'grafana-com-{number}' for number in numbers)}" in text


@pytest.mark.parametrize("numbers", [[], [3662]])
def test_the_verification_is_given_the_dashboards_of_the_variable(numbers: list[int]) -> None:
    imported = [{"id": number, "revision": 1, "sha256": "0" * 64} for number in numbers]
    servers = evaluate("verify", "verify_servers", grafana_imported_dashboards=imported)
    assert servers["grafana"]["dashboards"] == numbers


def test_a_database_that_is_broken(stack: Stack) -> None:
    stack.instead["grafana GET /api/health"] = as_json({"database": "failing"})
    assert "database: failing" in fails(options(stack))


# --- Whatever answers -------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [as_json([1, "x"]), as_json(None), (200, JSON, "<html>")])
def test_answers_of_an_unknown_shape(stack: Stack, answer: Answer) -> None:
    """A finding with its cause, never a traceback."""
    for request in ("GET /api/health", "GET /api/search"):
        stack.instead[f"grafana {request}"] = answer
    stack.instead["prometheus GET /api/v1/targets"] = answer
    stack.instead["https GET /api/products"] = answer
    assert fails(options(stack)).startswith("4 of 19")


def test_a_service_that_is_stopped_is_told_once(stack: Stack) -> None:
    port = free_port()
    text = fails(options(stack, grafana={"port": port}))
    assert text.startswith("4 of 19 checks failed:")
    assert text.count(f"nothing listens on port {port}") == 1
    assert (
        "also failed: Grafana takes the login, Grafana reads Prometheus, dashboards are there"
        in text
    )
    assert "cause: the service is stopped or has failed" in text
    assert "sudo journalctl -u grafana-server -n 50" in text


def test_nothing_runs(stack: Stack) -> None:
    port = free_port()
    servers = ("http", "https", "prometheus", "node_exporter", "grafana")
    text = fails(options(stack, **{name: {"port": port} for name in servers}, mysql=None))
    assert f"nothing listens on port {port}" in text
    assert "Nothing runs there. To bring it up: ./lab run ansible-playbook site.yml" in text


def test_a_server_that_says_nothing(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        text = fails({**options(stack, grafana={"port": port}), "request_timeout": 0.2})
    assert text.count(f"port {port} of 127.0.0.1 does not answer within 0.2 s") == 1
    assert f"the security group does not let {port} in from here" in text


def test_a_name_that_does_not_exist(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    text = fails({**options(stack), "address": "no.such.host"})
    assert text.count("the name no.such.host cannot be resolved") == 1
    assert "stack_address" in text


def test_ipv6_addresses_are_written_in_brackets() -> None:
    assert client.url_host("2001:db8::1") == "[2001:db8::1]"
    assert client.url_host("203.0.113.7") == "203.0.113.7"
    assert client.url_host("ec2.example") == "ec2.example"


def test_checks_run_at_the_same_time(stack: Stack) -> None:
    requests = ("http GET /", "https GET /", "https GET /products", "https GET /readyz")
    met = threading.Barrier(len(requests), timeout=10)

    def together() -> Answer:
        met.wait()
        return 200, HTML, "<h1>x</h1>"

    for request in requests:
        stack.instead[request] = together
    verify.look(options(stack))
    assert not met.broken


# --- The roles' data --------------------------------------------------------------------------


def test_a_report_gets_the_failures_too(stack: Stack) -> None:
    given = {**options(stack, grafana={"password": "otherPassword0123"}), "must_hold": False}
    result = verify.look(given)
    assert not result.get("failed")
    (login,) = (c for c in result["checks"] if c["name"] == "Grafana takes the login")
    assert login["passed"] is False
    assert "answers 401" in login["seen"]
    assert login["command"] == "./lab run ansible-playbook site.yml"
    assert result["msg"].startswith("16 checks passed, 3 failed")


def test_a_word_that_no_check_has_is_told_with_its_file(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "grafana/checks/main.yml"
    file.parent.mkdir(parents=True)
    file.write_text("- {name: x, server: grafana, cause: y, pathh: /}")
    with pytest.raises(ValueError, match=r"roles/grafana/checks/main\.yml, x: .*'pathh'"):
        verify.look({**options(stack), "roles": str(tmp_path)})


def test_nothing_to_look_at_is_no_success(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no server of verify_servers has a check"):
        verify.look({**options(stack), "roles": str(tmp_path)})


def test_every_check_names_a_server_of_the_stack() -> None:
    servers = evaluate("verify", "verify_servers")
    wanted = {check["server"] for checks in CHECKS.values() for check in checks}
    # SSH is looked at by every run: it is the way to the host.
    assert wanted == set(servers) - {"ssh"}
