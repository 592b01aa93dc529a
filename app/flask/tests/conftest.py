"""The application against a real MySQL, started by the image's own start script.

Needs Docker and the image of WEBAPP_TEST_MYSQL_IMAGE (default mysql:9.7). Where MySQL runs
already, give its address instead: WEBAPP_TEST_MYSQL=127.0.0.1:3306, database and user as
mysql-start makes them, password in WEBAPP_TEST_MYSQL_PASSWORD. Its tables are emptied.
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webapp import create_app, db
from webapp.config import Settings

MYSQL_FILES = Path(__file__).parents[2] / "mysql"
IMAGE = os.environ.get("WEBAPP_TEST_MYSQL_IMAGE", "mysql:9.7")
# Characters that SQL, option files and shells each treat in their own way.
PASSWORD = "q\"uo'te\\back;#& $x"
ADMIN_PASSWORD = "contraseña: de-admin"


@dataclass(frozen=True)
class Server:
    """A running MySQL."""

    host: str
    port: int
    password: str
    container: str | None

    def restart(self) -> None:
        """Stop it in order and start it again; its data stays."""
        if self.container is None:
            pytest.skip("WEBAPP_TEST_MYSQL names a server that the tests do not restart")
        docker("restart", self.container)
        wait_healthy(self.container)


def docker(*arguments: str) -> str:
    """Run the docker command and return what it prints."""
    return subprocess.run(
        ["docker", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    ).stdout.strip()


def wait_healthy(container: str) -> None:
    """Wait until the image's own health check is content."""
    limit = time.monotonic() + 90
    check = ["docker", "exec", container, "/usr/local/bin/mysql-healthcheck"]
    while subprocess.run(check, capture_output=True, check=False).returncode:
        running = docker("inspect", "--format={{.State.Running}}", container) == "true"
        if not running or time.monotonic() > limit:
            raise AssertionError(f"MySQL does not become healthy:\n{docker('logs', container)}")
        time.sleep(0.2)


@pytest.fixture(scope="session")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A MySQL for all tests."""
    address = os.environ.get("WEBAPP_TEST_MYSQL")
    if address:
        host, _, port = address.rpartition(":")
        yield Server(host, int(port), os.environ["WEBAPP_TEST_MYSQL_PASSWORD"], None)
        return
    try:
        docker("image", "inspect", IMAGE)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"needs Docker and the image {IMAGE} (WEBAPP_TEST_MYSQL_IMAGE names another)")

    directory = tmp_path_factory.mktemp("mysql")
    directory.chmod(0o755)
    for name, value in (
        ("webapp_db_password", PASSWORD),
        ("webapp_db_root_password", secrets.token_hex()),
    ):
        (directory / name).write_text(value + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port_number: int = probe.getsockname()[1]
    mounts = {
        MYSQL_FILES / "mysql-start": "/usr/local/bin/mysql-start",
        MYSQL_FILES / "mysql-healthcheck": "/usr/local/bin/mysql-healthcheck",
        MYSQL_FILES / "schema.sql": "/usr/local/share/labstack/schema.sql",
        MYSQL_FILES / "labstack.cnf": "/etc/mysql/conf.d/labstack.cnf",
        directory: "/run/secrets",
    }
    volumes = [f"--volume={source}:{target}:ro" for source, target in mounts.items()]
    container = docker(
        "run", "--detach", "--user=999:999", "--read-only", "--volume=/var/lib/mysql",
        "--tmpfs=/run/mysqld:uid=999,gid=999", "--tmpfs=/tmp:uid=999,gid=999",
        f"--publish=127.0.0.1:{port_number}:3306", *volumes,
        "--entrypoint=/usr/local/bin/mysql-start", IMAGE,
    )  # fmt: skip
    try:
        wait_healthy(container)
        yield Server("127.0.0.1", port_number, PASSWORD, container)
    finally:
        docker("rm", "--force", "--volumes", container)


@pytest.fixture(scope="session")
def settings(mysql_server: Server) -> Settings:
    """Settings for the test server."""
    return Settings(
        database_host=mysql_server.host,
        database_port=mysql_server.port,
        database_name="webapp",
        database_user="webapp",
        database_password=mysql_server.password,
        secret_key="for tests",
        admin_password=ADMIN_PASSWORD,
        release="0123456789ab",
    )


@pytest.fixture
def app(settings: Settings) -> Flask:
    """The application with empty tables."""
    app = create_app(settings)
    with app.app_context():
        db.change("DELETE FROM users")
        db.change("DELETE FROM products")
    return app


@pytest.fixture
def lonely_app() -> Flask:
    """The application without a database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return create_app(
        Settings("127.0.0.1", port, "webapp", "webapp", "x", "for tests", ADMIN_PASSWORD)
    )


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Somebody."""
    return app.test_client()


def basic(name: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


@pytest.fixture
def admin(app: Flask) -> Callable[..., Any]:
    """Requests of the administrator: admin("POST", "/api/users", json={...})."""
    client = app.test_client()

    def send(method: str, path: str, **arguments: Any) -> Any:
        headers = {**basic("admin", ADMIN_PASSWORD), **arguments.pop("headers", {})}
        return client.open(path, method=method, headers=headers, **arguments)

    return send
