"""The HTTP client: failures in plain words, and a password for its own server alone."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

REDIRECTS = (301, 302, 303, 307, 308)


class HttpError(Exception):
    """There is no answer, or none that can be read.

    Attributes:
        cause: The likely cause; empty where the caller knows better.
    """

    def __init__(self, seen: str, cause: str = "") -> None:
        """Remember what was seen and its cause."""
        super().__init__(seen)
        self.cause = cause


class NotRunningError(HttpError):
    """Nothing listens on the port."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        """Return the decoded body. Raises HttpError when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise HttpError(f"no JSON in the answer: {shorten(self.body)}") from None


def shorten(text: str, limit: int = 120) -> str:
    """Return the text on one line, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def url_host(address: str) -> str:
    """Return the address as a URL has it: IPv6 in brackets."""
    try:
        return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        return address


def connection_error(error: Exception, host: str, port: int, timeout: float) -> HttpError:
    """Return what a connection's failure means; timeout in seconds."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return HttpError(
            f"the certificate on port {port} is not the host's, so no password is sent there: "
            f"{error.verify_message}"
        )
    if isinstance(error, ConnectionRefusedError):
        return NotRunningError(
            f"nothing listens on port {port}", "the service is stopped or has failed"
        )
    if isinstance(error, socket.gaierror):
        return HttpError(
            f"the name {host} cannot be resolved to an address",
            "a typing error in stack_address, or this computer has no network",
        )
    if isinstance(error, TimeoutError):
        return HttpError(
            f"port {port} of {host} does not answer within {timeout:g} s",
            f"the security group does not let {port} in from here, or the host is overloaded",
        )
    return HttpError(f"no answer on port {port}: {error or type(error).__name__}")


def any_certificate() -> ssl.SSLContext:
    """Return a TLS context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def only_certificate(certificate: str | bytes) -> ssl.SSLContext:
    """Return a TLS context that takes this certificate alone, PEM or DER, as if it were a CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=certificate)
    return context


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Client:
    """One HTTP server, with the login that it asks for. No proxy of the environment is used.

    Attributes:
        base: http://HOST:PORT, https://HOST:PORT, or unix:PATH for a socket.
        timeout: Seconds to wait for one answer.
        user: Name for basic authentication; empty for none.
        password: Its password.
        context: Makes the TLS context, which says whose certificate is taken.
        host: The name by which it is asked (Host); empty for that of the address.
        follow: Whether redirects of GET are followed.
    """

    base: str
    timeout: float
    user: str = ""
    password: str = field(default="", repr=False)
    context: Callable[[], ssl.SSLContext] = any_certificate
    host: str = ""
    follow: bool = True

    def without_login(self) -> Client:
        """Return the same server, seen by a stranger."""
        return Client(self.base, self.timeout)

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Return the answer, whatever its status; redirects of GET are followed.

        Args:
            method: HTTP method.
            path: Path with its query.
            body: Sent as JSON unless None.

        Raises:
            HttpError: No answer.
        """
        unix = self.base.startswith("unix:")
        url = path if unix else urljoin(self.base + "/", path.lstrip("/"))
        for _ in range(4):
            reply = self._once(method, url, body)
            if method != "GET" or reply.status not in REDIRECTS or not self.follow:
                break
            url = urljoin(url, reply.headers.get("location", url))
        return reply

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if not scheme:
            return _UnixConnection(self.base.removeprefix("unix:"), self.timeout)
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self.timeout)
        try:
            context = self.context()
        except OSError as error:
            raise HttpError(f"no authorities to check the certificate by: {error}") from None
        return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=context)

    def _once(self, method: str, url: str, body: Any) -> Reply:
        parts = urlsplit(url)
        host = parts.hostname or ""
        headers = {"Accept": "*/*", "User-Agent": "labstack", "Connection": "close"}
        # A redirect to another server, port or scheme does not get the password.
        if self.user and parts[:2] == urlsplit(self.base)[:2]:
            login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {login}"
        if self.host and parts[:2] == urlsplit(self.base)[:2]:
            headers["Host"] = self.host
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = self._connection(parts.scheme, host, parts.port)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise connection_error(error, host, connection.port, self.timeout) from None
        finally:
            connection.close()
        return Reply(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, text
        )
