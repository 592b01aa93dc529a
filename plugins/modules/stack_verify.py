#!/usr/bin/python
"""Ansible module: looks at a running stack from outside, as its users do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_verify
short_description: Look at the running stack as a user would
description:
  - Runs on the controller and looks, through the host's address, at every page and interface of
    the stack. All checks run at the same time, and each is tried until it holds or the time is up.
  - The message of a failure has, for every check, what was seen, its likely cause and the command
    that looks closer.
  - The only thing that it changes is a product row, which it writes, reads and deletes. It is left
    out in check mode.
options:
  address:
    description: The host's address, as people type it in a browser.
    type: str
    required: true
  ssh_command:
    description: How a person logs in on the host; begins the commands of a failure's message.
    type: str
    default: ssh HOST
  timeout:
    description: Seconds until a check that does not hold has failed.
    type: float
    default: 60
  request_timeout:
    description: Seconds to wait for one answer.
    type: float
    default: 5
  webapp:
    description: Check the web application.
    type: bool
    default: true
  http_port:
    description: Port of the web application's HTTP.
    type: int
    default: 80
  https_port:
    description: Port of the web application's HTTPS.
    type: int
    default: 443
  trusted:
    description: The certificate must be one that browsers trust, not any that names the address.
    type: bool
    default: false
  ca_file:
    description:
      - Authorities (PEM file) that count for O(trusted), in place of this computer's own.
    type: path
  certificate:
    description:
      - The certificate (PEM) that the host has made for itself, as it was read over SSH. Given, and
        without O(trusted), no other one is taken, and the administrator's password is sent to
        nobody else. Not given, any that names the address is.
    type: str
  webapp_user:
    description: Name of the web application's administrator.
    type: str
    default: admin
  webapp_password:
    description: Password of the web application's administrator.
    type: str
  closed_ports:
    description: TCP ports that must not be reachable, because they are for the host alone.
    type: list
    elements: int
    default: []
  prometheus:
    description: Check Prometheus.
    type: bool
    default: true
  prometheus_port:
    description: Prometheus's port.
    type: int
    default: 9090
  prometheus_jobs:
    description: Scrape jobs that must have a target.
    type: list
    elements: str
    default: []
  prometheus_jobs_may_be_down:
    description: Scrape jobs whose targets need not be up.
    type: list
    elements: str
    default: []
  prometheus_rules:
    description: Alerts that must be loaded, as GROUP/ALERT.
    type: list
    elements: str
    default: []
  node_exporter:
    description: Check Node Exporter.
    type: bool
    default: true
  node_exporter_port:
    description: Node Exporter's port.
    type: int
    default: 9100
  node_exporter_metrics:
    description: Metrics that Node Exporter must serve.
    type: list
    elements: str
    default: []
  monitoring_tls:
    description: Whether Prometheus and Node Exporter answer over HTTPS, with any certificate.
    type: bool
    default: false
  monitoring_user:
    description: Name for Prometheus and Node Exporter; empty when they ask for none.
    type: str
    default: ""
  monitoring_password:
    description: Password for Prometheus and Node Exporter.
    type: str
  grafana:
    description: Check Grafana.
    type: bool
    default: true
  grafana_port:
    description: Grafana's port.
    type: int
    default: 3000
  grafana_user:
    description: Name of Grafana's administrator.
    type: str
    default: admin
  grafana_password:
    description: Password of Grafana's administrator.
    type: str
  grafana_data_source:
    description: Uid of the data source that must be healthy; empty for none.
    type: str
    default: prometheus
  grafana_dashboards:
    description: Titles of the dashboards that must be there.
    type: list
    elements: str
    default: []
author: labstack (@labstack)
"""

EXAMPLES = r"""
- name: Look at the stack as a user would
  labstack.stack.stack_verify:
    address: "{{ ansible_host }}"
    monitoring_user: monitor
    monitoring_password: "{{ secrets_result.secrets.monitoring_password }}"
  delegate_to: localhost
  become: false
"""

RETURN = r"""
checks:
  description: What was looked at and found good.
  returned: success
  type: list
  elements: str
left_out:
  description: In check mode, what does not run yet, or would have to write.
  returned: success
  type: list
  elements: str
seconds:
  description: How long it took.
  returned: success
  type: float
"""

import base64
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from ansible.module_utils.basic import AnsibleModule

# Seconds between two tries of a check that does not hold yet.
RETRY_PAUSE = 1.0
# Seconds for a connection that is expected to fail: longer than any round trip on Earth. A network
# that drops packets without a word is the usual way in which a port is closed.
CLOSED_TIMEOUT = 0.8
# Rows of this name and an age of more than this many seconds are left from a verification that was
# killed; younger ones may belong to another that runs at the same time.
ROW_PREFIX = "labstack-verify"
ROW_AGE = 120
# How many of the newest rows are looked through for such, and how many one request may list.
SWEPT_ROWS = 500
PAGE = 100


class NotYetError(Exception):
    """A check does not hold, and may hold in a moment."""


class NeverError(Exception):
    """A check does not hold, and waiting will not change it."""


class PortError(NotYetError):
    """Nothing answers on a port, whatever it is asked.

    Attributes:
        cause: The likely cause.
    """

    def __init__(self, seen: str, cause: str) -> None:
        """Remember what was seen and its cause."""
        super().__init__(seen)
        self.cause = cause


class NotRunningError(PortError):
    """Nothing listens on the port."""


class ServerError(NotYetError):
    """The server says that it cannot do its work (5xx)."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        """Return the decoded body. Raises NotYetError when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise NotYetError(f"no JSON in the answer: {shorten(self.body)}") from None


def shorten(text: str, limit: int = 120) -> str:
    """Return the text on one line, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def connection_problem(error: Exception, host: str, port: int, timeout: float) -> NotYetError:
    """Return what a connection's failure means."""
    if isinstance(error, ConnectionRefusedError):
        return NotRunningError(
            f"nothing listens on port {port}", "the service is stopped or has failed"
        )
    if isinstance(error, socket.gaierror):
        return PortError(
            f"the name {host} cannot be resolved to an address",
            "a typing error in stack_address, or this computer has no network",
        )
    if isinstance(error, TimeoutError):
        return PortError(
            f"port {port} of {host} does not answer within {timeout:g} s",
            f"the security group does not let {port} in from here, or the host is overloaded",
        )
    return NotYetError(f"no answer on port {port}: {error or type(error).__name__}")


def url_host(address: str) -> str:
    """Return the address as a URL has it: IPv6 in brackets."""
    try:
        return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        return address


def unverified_context() -> ssl.SSLContext:
    """Return a TLS context that takes any certificate; check_certificate judges it apart."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def own_context(certificate: str | bytes) -> ssl.SSLContext:
    """Return a TLS context that takes this certificate alone, PEM or DER, as if it were a CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=certificate)
    return context


@dataclass(frozen=True)
class Site:
    """One HTTP server of the stack, with the login that it asks for."""

    base: str
    timeout: float
    user: str = ""
    password: str = field(default="", repr=False)
    context: Callable[[], ssl.SSLContext] = unverified_context

    def without_login(self) -> Site:
        """Return the same server, seen by a stranger."""
        return Site(self.base, self.timeout)

    def request(
        self, method: str, path: str, body: Any = None, accept: Iterable[int] = (200,)
    ) -> Reply:
        """Ask, follow redirects of GET, and return the answer.

        Args:
            method: HTTP method.
            path: Path with its query, or a whole URL.
            body: Sent as JSON unless None.
            accept: HTTP status codes that are good.

        Raises:
            PortError: Nothing answers on the port.
            ServerError: The status is 5xx.
            NotYetError: No answer, or another status.
            NeverError: The login is refused (401, 403).
        """
        url = urljoin(self.base + "/", path.lstrip("/")) if "://" not in path else path
        for _ in range(4):
            reply = self._once(method, url, body)
            if method != "GET" or reply.status not in (301, 302, 303, 307, 308):
                break
            url = urljoin(url, reply.headers.get("location", url))
        if reply.status in tuple(accept):
            return reply
        said = f": {shorten(reply.body)}" if reply.body.strip().startswith("{") else ""
        message = f"{method} {url} answers {reply.status}{said}"
        if reply.status in (401, 403):
            raise NeverError(message)
        raise ServerError(message) if reply.status >= 500 else NotYetError(message)

    def _once(self, method: str, url: str, body: Any) -> Reply:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            try:
                context = self.context()
            except OSError as error:
                raise NeverError(f"no authorities to check the certificate by: {error}") from None
            connection = http.client.HTTPSConnection(
                host, port, timeout=self.timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self.timeout)
        headers = {"Accept": "*/*", "User-Agent": "labstack-verify", "Connection": "close"}
        # A redirect to another server, port or scheme does not get the password.
        if self.user and parts[:2] == urlsplit(self.base)[:2]:
            login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {login}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        path = parts.path or "/"
        try:
            connection.request(
                method, f"{path}?{parts.query}" if parts.query else path, data, headers
            )
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except ssl.SSLCertVerificationError as error:
            raise NotYetError(
                f"the certificate on port {connection.port} is not the host's, so no password is "
                f"sent there: {error.verify_message}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise connection_problem(error, host, connection.port, self.timeout) from None
        finally:
            connection.close()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, names, text)


# --- The checks -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Attributes:
        name: What is good when the check holds.
        run: Raises NotYetError or NeverError when it does not.
        cause: The likely cause of a failure.
        command: What to type to look closer; runs on the host unless it begins with "here: ".
        writes: It changes something, and is left out in check mode.
        part: The part of the stack. A part that is broken is told once, not once a check.
        explains: Its cause explains every server error (5xx) of its part.
    """

    name: str
    run: Callable[[], None]
    cause: str
    command: str
    writes: bool = False
    part: str = ""
    explains: bool = False


COMPOSE_LOGS = "sudo docker compose -p webapp logs --tail 50"


def page_shows(site: Site, path: str, kind: str = "html") -> None:
    """Check that a page comes, and is a page."""
    reply = site.request("GET", path)
    content_type = reply.headers.get("content-type", "")
    if kind not in content_type or not reply.body.strip():
        raise NotYetError(f"GET {site.base}{path} has no {kind}, but {content_type or 'nothing'}")


def answers(site: Site, path: str) -> None:
    """Check that the path answers 200."""
    site.request("GET", path)


def asks_for_login(site: Site, path: str) -> None:
    """Check that a stranger is turned away (401)."""
    stranger = site.without_login()
    if stranger.request("GET", path, accept=(200, 401)).status == 200:
        raise NeverError(f"{site.base}{path} can be read without a password")


def is_hidden(site: Site, path: str) -> None:
    """Check that nobody reads the path from here (403 or 404)."""
    if site.without_login().request("GET", path, accept=(200, 403, 404)).status == 200:
        raise NeverError(f"{site.base}{path} can be read from here")


def certificate_fits(address: str, port: int, timeout: float, certificate: str = "") -> None:
    """Check that the certificate names the address and is valid now.

    The certificate is trusted itself, as if it were a CA, and the TLS library then checks its names
    and dates as a browser does.

    Args:
        address: what is typed.
        port: port of HTTPS.
        timeout: seconds to wait for an answer.
        certificate: the only one that is taken (PEM); empty: whichever is shown.
    """
    try:
        wanted: str | bytes = certificate
        if not certificate:
            with (
                socket.create_connection((address, port), timeout) as plain,
                unverified_context().wrap_socket(plain, server_hostname=address) as wrapped,
            ):
                wanted = wrapped.getpeercert(binary_form=True) or b""
        with (
            socket.create_connection((address, port), timeout) as plain,
            own_context(wanted).wrap_socket(plain, server_hostname=address),
        ):
            return
    except ssl.SSLCertVerificationError as error:
        raise NeverError(f"the certificate on port {port}: {error.verify_message}") from None
    except (ssl.SSLError, ValueError) as error:
        raise NotYetError(f"no TLS on port {port}: {error}") from None
    except OSError as error:
        raise connection_problem(error, address, port, timeout) from None


def certificate_is_trusted(address: str, port: int, timeout: float, ca_file: str | None) -> None:
    """Check that a browser would take the certificate without a warning.

    Args:
        address: what is typed.
        port: port of HTTPS.
        timeout: seconds to wait for an answer.
        ca_file: authorities that count; None: this computer's own.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        with (
            socket.create_connection((address, port), timeout) as plain,
            context.wrap_socket(plain, server_hostname=address),
        ):
            return
    except ssl.SSLCertVerificationError as error:
        raise NeverError(f"the certificate on port {port}: {error.verify_message}") from None
    except (ssl.SSLError, FileNotFoundError) as error:
        place = f" or in {ca_file}" if ca_file else ""
        raise NotYetError(f"no TLS on port {port}{place}: {error}") from None
    except OSError as error:
        raise connection_problem(error, address, port, timeout) from None


def port_is_closed(address: str, port: int) -> None:
    """Check that nobody answers on the port."""
    try:
        with socket.create_connection((address, port), CLOSED_TIMEOUT):
            pass
    except OSError:
        return
    raise NeverError(f"port {port} of {address} can be reached from here")


def newest_rows(site: Site) -> list[dict[str, Any]]:
    """Return the newest products that a verification wrote, SWEPT_ROWS at most."""
    rows: list[dict[str, Any]] = []
    for number in range(1, SWEPT_ROWS // PAGE + 1):
        query = urlencode({"q": ROW_PREFIX, "sort": "-id", "per_page": PAGE, "page": number})
        page = site.request("GET", f"/api/products?{query}").json()
        rows += page["items"]
        if number >= page["pages"]:
            break
    return rows


def sweep_rows(site: Site, now: float) -> None:
    """Delete the rows that verifications left which were killed."""
    for row in newest_rows(site):
        prefix, _, rest = str(row.get("name", "")).partition(" ")
        born = rest.partition(" ")[0]
        if prefix == ROW_PREFIX and born.isdigit() and now - int(born) > ROW_AGE:
            site.request("DELETE", f"/api/products/{row['id']}", accept=(200, 204, 404))


def product_is_kept(site: Site) -> None:
    """Write a product, read it back and delete it; leaves nothing behind, whatever happens."""
    now = time.time()
    sweep_rows(site, now)
    product = {
        "name": f"{ROW_PREFIX} {int(now)} {secrets.token_hex(4)}",
        "description": "Written by the verification, and deleted by it.",
        "price": "9.99",
        "stock": 3,
    }
    made = site.request("POST", "/api/products", product, accept=(201,))
    number = made.json().get("id")
    if number is None:
        raise NeverError("POST /api/products answers 201 without an id")
    path = f"/api/products/{number}"
    try:
        if "location" not in made.headers:
            raise NeverError("POST /api/products answers 201 without a Location")
        read = site.request("GET", path).json()
        for key, value in product.items():
            if str(read.get(key)) != str(value):
                raise NeverError(f"GET {path}: {key} is {read.get(key)!r}, not {value!r}")
    finally:
        site.request("DELETE", path, accept=(200, 204))
    site.request("GET", path, accept=(404,))


def targets_are_up(site: Site, jobs: Sequence[str], may_be_down: Sequence[str]) -> None:
    """Check that every scrape target is up (but for some jobs), and that each job has one."""
    data = site.request("GET", "/api/v1/targets?state=active").json().get("data", {})
    targets = data.get("activeTargets", [])
    down = [
        target
        for target in targets
        if target.get("health") != "up" and target.get("scrapePool") not in may_be_down
    ]
    if down:
        raise NotYetError(
            "; ".join(
                f"target {target.get('scrapePool')} {target.get('scrapeUrl')} is "
                f"{target.get('health')}"
                + (f" ({shorten(target['lastError'])})" if target.get("lastError") else "")
                for target in down
            )
        )
    missing = sorted(set(jobs) - {target.get("scrapePool") for target in targets})
    if missing:
        raise NotYetError(f"no target of the job {', '.join(missing)}")


def rules_are_loaded(site: Site, rules: Sequence[str]) -> None:
    """Check that the alerts are loaded and can be evaluated."""
    data = site.request("GET", "/api/v1/rules").json().get("data", {})
    found = {
        f"{group.get('name')}/{rule.get('name')}": rule
        for group in data.get("groups", [])
        for rule in group.get("rules", [])
    }
    missing = [rule for rule in rules if rule not in found]
    if missing:
        raise NotYetError(f"missing: {', '.join(missing)}; loaded: {', '.join(found) or 'none'}")
    broken = [name for name, rule in found.items() if rule.get("health") == "err"]
    if broken:
        raise NotYetError(
            "; ".join(
                f"{name} fails: {shorten(found[name].get('lastError', ''))}" for name in broken
            )
        )


def metrics_are_served(site: Site, metrics: Sequence[str]) -> None:
    """Check that the exporter serves the metrics."""
    text = site.request("GET", "/metrics").body
    served = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()}
    missing = [metric for metric in metrics if metric not in served]
    if missing:
        raise NotYetError(f"missing: {', '.join(missing)}")


def grafana_is_healthy(site: Site) -> None:
    """Check that Grafana and its database answer; needs no login."""
    health = site.without_login().request("GET", "/api/health").json()
    if health.get("database") != "ok":
        raise NotYetError(f"database: {health.get('database')}")


def data_source_works(site: Site, uid: str) -> None:
    """Check that Grafana can query its data source."""
    health = site.request("GET", f"/api/datasources/uid/{uid}/health").json()
    if health.get("status") != "OK":
        raise NotYetError(f"{health.get('status')}: {shorten(str(health.get('message')))}")


def dashboards_exist(site: Site, titles: Sequence[str]) -> None:
    """Check that the dashboards are there, by their titles."""
    query = urlencode({"type": "dash-db", "limit": 5000})
    found = {entry.get("title") for entry in site.request("GET", f"/api/search?{query}").json()}
    missing = [title for title in titles if title not in found]
    if missing:
        there = ", ".join(sorted(str(title) for title in found)) or "none"
        raise NotYetError(f"missing: {', '.join(missing)}; there: {there}")


def certificate_check(params: dict[str, Any]) -> Check:
    """Return the check of the certificate: whether it is trusted, or fits the address."""
    where = (params["address"], params["https_port"], params["request_timeout"])
    if params["trusted"]:
        return Check(
            "certificate is trusted",
            lambda: certificate_is_trusted(*where, params["ca_file"]),
            "no trusted certificate could be had, or it was not renewed; meanwhile the self-signed "
            "one serves",
            "sudo journalctl -u labstack-certificate -n 30 --no-pager; "
            "sudo systemctl start labstack-certificate",
        )
    return Check(
        "certificate names the address",
        lambda: certificate_fits(*where, params["certificate"] or ""),
        "the certificate was made for another address, or has expired; or it is not the host's: "
        "another server answers, or somebody sits between",
        "here: ./lab run ansible-playbook site.yml    # makes it anew for the address of now",
    )


def webapp_checks(params: dict[str, Any]) -> list[Check]:
    """Return the checks of the web application."""
    address, timeout = params["address"], params["request_timeout"]
    host = url_host(address)
    http_site = Site(f"http://{host}:{params['http_port']}", timeout)
    login = (params["webapp_user"], params["webapp_password"] or "")
    context = unverified_context
    if params["trusted"]:
        context = partial(ssl.create_default_context, cafile=params["ca_file"])
    elif params["certificate"]:
        context = partial(own_context, params["certificate"])
    https_site = Site(f"https://{host}:{params['https_port']}", timeout, *login, context)
    visitor = https_site.without_login()
    apache = f"{COMPOSE_LOGS} apache"
    flask = f"{COMPOSE_LOGS} flask-app"
    checks = [
        Check(
            f"web page on {params['http_port']}",
            lambda: page_shows(http_site, "/"),
            "another server than Apache answers there",
            apache,
        ),
        Check(
            f"web page on {params['https_port']}",
            lambda: page_shows(visitor, "/"),
            "Apache has no certificate, or another server than Apache answers there",
            apache,
        ),
        certificate_check(params),
        Check(
            "product page",
            lambda: page_shows(visitor, "/products"),
            "Flask cannot read the database",
            f"{COMPOSE_LOGS} flask-app mysql",
        ),
        Check(
            "users need a login",
            lambda: asks_for_login(visitor, "/api/users"),
            "another application answers there",
            flask,
        ),
        Check(
            "metrics are for the host alone",
            lambda: is_hidden(visitor, "/metrics"),
            "Apache has another configuration than the release's",
            apache,
        ),
        Check(
            "health of the application",
            lambda: answers(visitor, "/readyz"),
            "Flask does not run, or has no database",
            f"{COMPOSE_LOGS} flask-app mysql",
            explains=True,
        ),
    ]
    if params["webapp_password"]:
        checks.append(
            Check(
                "product written, read and deleted",
                lambda: product_is_kept(https_site),
                "the administrator's password is not the one of /etc/labstack/secrets, or the "
                "database does not take the row",
                flask,
                writes=True,
            )
        )
    return checks


def closed_port_checks(params: dict[str, Any]) -> list[Check]:
    """Return the checks of the ports that are for the host alone."""

    def closed(port: int) -> Check:
        return Check(
            f"port {port} is closed",
            lambda: port_is_closed(params["address"], port),
            "a variable opens it (webapp_flask_bind), or a container publishes it to all networks",
            f"sudo ss -ltnp 'sport = :{port}'",
        )

    return [closed(port) for port in params["closed_ports"]]


def monitoring_site(params: dict[str, Any], port: int) -> Site:
    """Return Prometheus or Node Exporter, with the monitoring login."""
    return Site(
        f"{'https' if params['monitoring_tls'] else 'http'}://{url_host(params['address'])}:{port}",
        params["request_timeout"],
        params["monitoring_user"],
        params["monitoring_password"] or "",
    )


def prometheus_checks(params: dict[str, Any]) -> list[Check]:
    """Return the checks of Prometheus."""
    site = monitoring_site(params, params["prometheus_port"])
    journal = "sudo journalctl -u prometheus -n 50 --no-pager"
    checks = [
        Check(
            "Prometheus is ready",
            lambda: answers(site, "/-/ready"),
            "the service is starting, or reads its samples after a crash",
            journal,
        ),
        Check(
            "scrape targets are up",
            lambda: targets_are_up(
                site, params["prometheus_jobs"], params["prometheus_jobs_may_be_down"]
            ),
            "an exporter does not run, or Prometheus has an old password for it",
            "sudo systemctl status prometheus node_exporter --no-pager",
        ),
    ]
    if params["prometheus_rules"]:
        checks.append(
            Check(
                "alert rules are loaded",
                lambda: rules_are_loaded(site, params["prometheus_rules"]),
                "rules.yml is missing in prometheus.yml, or a rule has a fault",
                "sudo promtool check config /etc/prometheus/prometheus.yml",
            )
        )
    if params["monitoring_user"]:
        checks.append(
            Check(
                "Prometheus asks for a password",
                lambda: asks_for_login(site, "/api/v1/status/buildinfo"),
                "the service runs without its web configuration",
                "systemctl cat prometheus",
            )
        )
    return checks


def node_exporter_checks(params: dict[str, Any]) -> list[Check]:
    """Return the checks of Node Exporter."""
    site = monitoring_site(params, params["node_exporter_port"])
    checks = [
        Check(
            "Node Exporter serves its metrics",
            lambda: metrics_are_served(site, params["node_exporter_metrics"]),
            "a collector is off, or another exporter answers there",
            "sudo journalctl -u node_exporter -n 50 --no-pager",
        )
    ]
    if params["monitoring_user"]:
        checks.append(
            Check(
                "Node Exporter asks for a password",
                lambda: asks_for_login(site, "/metrics"),
                "the service runs without its web configuration",
                "systemctl cat node_exporter",
            )
        )
    return checks


def grafana_checks(params: dict[str, Any]) -> list[Check]:
    """Return the checks of Grafana."""
    site = Site(
        f"http://{url_host(params['address'])}:{params['grafana_port']}",
        params["request_timeout"],
        params["grafana_user"],
        params["grafana_password"] or "",
    )
    journal = "sudo journalctl -u grafana-server -n 50 --no-pager"
    checks = [
        Check(
            "Grafana is healthy",
            lambda: grafana_is_healthy(site),
            "Grafana is starting, or its database is damaged or the disk is full",
            journal,
        )
    ]
    if not params["grafana_password"]:
        return checks
    checks.append(
        Check(
            "Grafana takes the login",
            lambda: answers(site, "/api/user"),
            "the password was changed since the last run of site.yml, in Grafana or by "
            "vault_grafana_admin_password; the next run sets it",
            "here: ./lab run ansible-playbook site.yml",
        )
    )
    if params["grafana_data_source"]:
        checks.append(
            Check(
                "Grafana reads Prometheus",
                lambda: data_source_works(site, params["grafana_data_source"]),
                "Prometheus does not run, or the data source has an old password",
                journal,
            )
        )
    if params["grafana_dashboards"]:
        checks.append(
            Check(
                "dashboards are there",
                lambda: dashboards_exist(site, params["grafana_dashboards"]),
                "a dashboard's file has a fault, or the provisioning has not read it yet",
                f"{journal} | grep -i provision",
            )
        )
    return checks


def all_checks(params: dict[str, Any]) -> list[Check]:
    """Return the checks that the options choose."""
    checks = closed_port_checks(params)
    for part, table in (
        ("webapp", webapp_checks),
        ("prometheus", prometheus_checks),
        ("node_exporter", node_exporter_checks),
        ("grafana", grafana_checks),
    ):
        if params[part]:
            checks += [replace(check, part=part) for check in table(params)]
    return checks


# --- Running them -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a check went: `seen` is empty when it holds; `error` is how it does not."""

    check: Check
    seen: str = ""
    error: Exception | None = None

    @property
    def trouble(self) -> str:
        """What the check has in common with others that fail for the same reason."""
        if isinstance(self.error, PortError):
            return self.seen
        return f"5xx {self.check.part}" if isinstance(self.error, ServerError) else self.check.name

    @property
    def cause(self) -> str:
        """The likely cause."""
        return self.error.cause if isinstance(self.error, PortError) else self.check.cause


def run_check(check: Check, deadline: float) -> Outcome:
    """Try a check until it holds, cannot hold, or time.monotonic() passes the deadline."""
    while True:
        try:
            check.run()
        except NeverError as error:
            return Outcome(check, str(error), error)
        except NotYetError as error:
            if time.monotonic() + RETRY_PAUSE > deadline:
                return Outcome(check, str(error), error)
            # The stack may still be starting; only the next look shows that it is there.
            time.sleep(RETRY_PAUSE)
        except Exception as error:
            # An answer of a shape that nobody thought of is a finding too, not a traceback.
            return Outcome(check, f"unexpected answer ({type(error).__name__}: {error})", error)
        else:
            return Outcome(check)


def run_checks(checks: Sequence[Check], timeout: float) -> list[Outcome]:
    """Run all checks at the same time; timeout in seconds, 0 for a single try."""
    deadline = time.monotonic() + timeout
    with ThreadPoolExecutor(max_workers=max(1, len(checks))) as pool:
        return list(pool.map(lambda check: run_check(check, deadline), checks))


def report(failed: Sequence[Outcome], total: int, ssh_command: str) -> str:
    """Return the message of a failure: each failed check with its cause and the next command.

    What fails for the same reason, a port where nothing listens or a part that only answers with
    server errors, is told once.
    """
    together: dict[str, list[Outcome]] = {}
    for outcome in failed:
        together.setdefault(outcome.trouble, []).append(outcome)
    lines = [f"{len(failed)} of {total} checks failed:"]
    for number, group in enumerate(together.values(), 1):
        head = group[0]
        if isinstance(head.error, ServerError):
            head = next((outcome for outcome in group if outcome.check.explains), head)
        names = ", ".join(outcome.check.name for outcome in group if outcome is not head)
        lines.append(f"\n{number}. {head.check.name}: failed")
        lines += [f"   so too: {names}"] if names else []
        lines += [
            f"   seen:  {head.seen}",
            f"   cause: {head.cause}",
            f"   -> {command_line(head.check.command, ssh_command)}",
        ]
    if len(failed) == total and all(not_running(outcome) for outcome in failed):
        lines.append("\nNothing runs there. To bring it up: ./lab run ansible-playbook site.yml")
    return "\n".join(lines)


def not_running(outcome: Outcome) -> bool:
    """Say whether nothing listens on the check's port."""
    return isinstance(outcome.error, NotRunningError)


def command_line(command: str, ssh_command: str) -> str:
    """Return what to type for a check's command, on the host or here."""
    if command.startswith("here: "):
        return command.removeprefix("here: ")
    quote = '"' if "'" in command else "'"
    return f"{ssh_command} {quote}{command}{quote}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "ssh_command": {"type": "str", "default": "ssh HOST"},
            "timeout": {"type": "float", "default": 60.0},
            "request_timeout": {"type": "float", "default": 5.0},
            "webapp": {"type": "bool", "default": True},
            "http_port": {"type": "int", "default": 80},
            "https_port": {"type": "int", "default": 443},
            "trusted": {"type": "bool", "default": False},
            "ca_file": {"type": "path"},
            "certificate": {"type": "str"},
            "webapp_user": {"type": "str", "default": "admin"},
            "webapp_password": {"type": "str", "no_log": True},
            "closed_ports": {"type": "list", "elements": "int", "default": []},
            "prometheus": {"type": "bool", "default": True},
            "prometheus_port": {"type": "int", "default": 9090},
            "prometheus_jobs": {"type": "list", "elements": "str", "default": []},
            "prometheus_jobs_may_be_down": {"type": "list", "elements": "str", "default": []},
            "prometheus_rules": {"type": "list", "elements": "str", "default": []},
            "node_exporter": {"type": "bool", "default": True},
            "node_exporter_port": {"type": "int", "default": 9100},
            "node_exporter_metrics": {"type": "list", "elements": "str", "default": []},
            "monitoring_tls": {"type": "bool", "default": False},
            "monitoring_user": {"type": "str", "default": ""},
            "monitoring_password": {"type": "str", "no_log": True},
            "grafana": {"type": "bool", "default": True},
            "grafana_port": {"type": "int", "default": 3000},
            "grafana_user": {"type": "str", "default": "admin"},
            "grafana_password": {"type": "str", "no_log": True},
            "grafana_data_source": {"type": "str", "default": "prometheus"},
            "grafana_dashboards": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    begin = time.monotonic()
    checks = all_checks(params)
    left_out = []
    if module.check_mode:
        left_out = [check.name for check in checks if check.writes]
        checks = [check for check in checks if not check.writes]
    # Check mode starts nothing, so there is nothing to wait for.
    outcomes = run_checks(checks, 0 if module.check_mode else params["timeout"])
    failed = [outcome for outcome in outcomes if outcome.seen]
    if module.check_mode:
        # What does not run yet would be started by a real run; the role that starts it says so.
        left_out += [outcome.check.name for outcome in failed if not_running(outcome)]
        failed = [outcome for outcome in failed if not not_running(outcome)]
    if failed:
        module.fail_json(msg=report(failed, len(outcomes), params["ssh_command"]))
    module.exit_json(
        changed=False,
        checks=[outcome.check.name for outcome in outcomes if not outcome.seen],
        left_out=left_out,
        seconds=round(time.monotonic() - begin, 2),
    )


if __name__ == "__main__":
    main()
