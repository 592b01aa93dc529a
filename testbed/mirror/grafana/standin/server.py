"""The server: configuration, database, readiness, HTTP, then provisioning, in the original's order.

The trap kept: systemd is told that the service is ready, and ``/api/health`` answers, before
provisioning is parsed; a broken provisioning file stops the server after that.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

from . import log
from .api import Application, Handler
from .config import ConfigError, Settings
from .provisioning import Dashboards, ProvisioningError, provision_data_sources, read_providers
from .store import Store, StoreError


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class _HttpServer6(_HttpServer):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        """Accept IPv4 too where the address is IPv6's "any"."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def _listen(settings: Settings, application: Application) -> ThreadingHTTPServer:
    address = settings.get("server", "http_addr")
    port = int(settings.get("server", "http_port"))
    handler = type("BoundHandler", (Handler,), {"application": application})
    if ":" in address or (not address and socket.has_ipv6):
        try:
            return _HttpServer6((address or "::", port), handler)
        except OSError:
            # A host without IPv6 still has every IPv4 address.
            if address:
                raise
    return _HttpServer((address, port), handler)


def _ready() -> None:
    """Tell systemd that the service is ready, where systemd asked to be told."""
    name = os.environ.get("NOTIFY_SOCKET")
    if name:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + name[1:] if name.startswith("@") else name)
            notify.sendall(b"READY=1")


def run(settings: Settings, version: str, pidfile: Path | None = None) -> int:
    """Run the server until SIGTERM or SIGINT; return the exit code."""
    if "file" in settings.get("log", "mode").split():
        log.to_file(settings.path("logs"))
    log.line("settings", "info", "Starting the fake stand-in, this is not Grafana", version=version)
    if settings.get("server", "protocol") != "http":
        log.line("http.server", "error", "the fake speaks http only")
        return 1
    try:
        store = Store(settings.database)
    except StoreError as error:
        log.line("server", "error", "failed to connect to database", error=error)
        return 1
    security = {
        k: settings.get("security", k) for k in ("admin_user", "admin_email", "admin_password")
    }
    if not settings.flag("security", "disable_initial_admin_creation") and store.create_admin(
        security["admin_user"], security["admin_email"], security["admin_password"]
    ):
        log.line("sqlstore", "info", "Created default admin", user=security["admin_user"])
    application = Application(settings, store, version)
    if pidfile is not None:
        pidfile.write_text(f"{os.getpid()}\n", encoding="ascii")
    _ready()
    try:
        http = _listen(settings, application)
    except (OSError, ValueError) as error:
        log.line("http.server", "error", "failed to open listener", error=error)
        return 1
    host, port = http.server_address[:2]
    log.line(
        "http.server", "info", "HTTP Server Listen", address=f"{host!s}:{port}", protocol="http"
    )
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()

    folder = settings.path("provisioning")
    try:
        application.source_secrets = provision_data_sources(store, folder / "datasources")
        providers = read_providers(folder / "dashboards")
    except (ProvisioningError, ConfigError) as error:
        log.line("provisioning", "error", "Failed to provision", error=error)
        log.line("server", "error", "Server shutdown", error=error)
        return 1
    application.editable_providers = {p.name for p in providers if p.editable}
    dashboards = Dashboards(store, providers)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dashboards.stop())
    log.line("provisioning.dashboard", "info", "starting to provision dashboards")
    dashboards.run()
    log.line("server", "info", "Shutdown started", reason="System signal: terminated")
    http.shutdown()
    store.close()
    return 0
