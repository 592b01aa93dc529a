"""The application against a real MySQL, started by the image's own start script.

Needs Docker and the image of WEBAPP_TEST_MYSQL_IMAGE (default mysql:9.7). Where MySQL runs
already, give its address instead: WEBAPP_TEST_MYSQL=127.0.0.1:3306, database and users as
mysql-start makes them, both with the password in WEBAPP_TEST_MYSQL_PASSWORD. Its tables are
emptied.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from webapp import accounts, create_app, db, migrate
from webapp.config import MigrationSettings, Settings
from webapp.models import User
from webapp.passwords import hash_password

MYSQL_FILES = Path(__file__).parents[2] / "mysql"
TRANSLATIONS = Path(__file__).parents[1] / "webapp" / "translations"
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
        # Between two looks, each of which is a program in the container; the limit is above.
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
        ("webapp_db_migration_password", PASSWORD),
        ("webapp_db_root_password", secrets.token_hex()),
    ):
        (directory / name).write_text(value + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port_number: int = probe.getsockname()[1]
    mounts = {
        MYSQL_FILES / "mysql-start": "/usr/local/bin/mysql-start",
        MYSQL_FILES / "mysql-healthcheck": "/usr/local/bin/mysql-healthcheck",
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


def migration_settings(server: Server, admin_password: str = ADMIN_PASSWORD) -> MigrationSettings:
    """Settings of the migration for a server."""
    return MigrationSettings(
        database_host=server.host,
        database_port=server.port,
        database_name="webapp",
        database_user="webapp_migration",
        database_password=server.password,
        admin_password=admin_password,
    )


@pytest.fixture(scope="session")
def owner(mysql_server: Server) -> Iterator[Engine]:
    """Connections of the user who may alter tables."""
    engine = db.make_engine(migration_settings(mysql_server))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def translations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled catalogues, as the image's build makes them; not beside their sources."""
    compiled = tmp_path_factory.mktemp("translations")
    for source in TRANSLATIONS.glob("*/LC_MESSAGES/messages.po"):
        target = compiled / source.relative_to(TRANSLATIONS).with_suffix(".mo")
        target.parent.mkdir(parents=True)
        with source.open("rb") as po, target.open("wb") as mo:
            write_mo(mo, read_po(po))
    return compiled


@pytest.fixture(scope="session")
def settings(mysql_server: Server, owner: Engine, translations: Path) -> Settings:
    """Settings for the test server, whose tables are made."""
    migrate.upgrade(owner)
    return Settings(
        database_host=mysql_server.host,
        database_port=mysql_server.port,
        database_name="webapp",
        database_user="webapp",
        database_password=mysql_server.password,
        secret_key="for tests",
        release="0123456789ab",
        translations=str(translations),
    )


@pytest.fixture(scope="session")
def admin_hash() -> str:
    """The hash of the first account's password."""
    return hash_password(ADMIN_PASSWORD)


def json_of(answer: Any) -> Any:
    """The answer's JSON."""
    return answer.json


class Client(FlaskClient):
    """A client that takes each answer to its end, as every server does."""

    def open(self, *arguments: Any, **more: Any) -> Any:
        return super().open(*arguments, **{"buffered": True, **more})


@pytest.fixture(scope="session")
def application(settings: Settings) -> Iterator[Flask]:
    """The application for all tests, which keeps its connections."""
    app = create_app(settings)
    app.test_client_class = Client
    yield app
    app.extensions["engine"].dispose()


@pytest.fixture
def app(application: Flask, admin_hash: str) -> Flask:
    """The application with no products and one account, that has forgotten who it knew."""
    accounts.init_app(application)
    application.extensions.pop("audit_prune_at", None)
    with application.app_context(), db.session() as session:
        for table in ("users", "products", "audit", "submissions", "requests"):
            session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - the names just above
        session.add(
            User(
                name="Administrator",
                username="admin",
                email="admin@webapp.invalid",
                role="admin",
                password=admin_hash,
            )
        )
    return application


@pytest.fixture
def lonely_app(translations: Path) -> Flask:
    """The application without a database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    app = create_app(
        Settings(
            database_host="127.0.0.1",
            database_port=port,
            database_name="webapp",
            database_user="webapp",
            database_password="x",
            secret_key="for tests",
            translations=str(translations),
        )
    )
    app.test_client_class = Client
    return app


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


def token_of(page: str) -> str:
    """The token of a page's form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found[1]


class Browser:
    """Somebody with a browser: cookies, and forms that carry the token of their page."""

    def __init__(self, app: Flask, language: str = "es") -> None:
        self.client = app.test_client()
        self.headers = {"Accept-Language": language}

    def get(self, path: str) -> Any:
        """Look at a page."""
        return self.client.get(path, headers=self.headers)

    def send(self, page: str, action: str | None = None, **fields: str) -> Any:
        """Fill in the form of a page and send it."""
        shown = self.get(page).text
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', shown)
        sent = {**dict(hidden), "csrf_token": token_of(shown), **fields}
        return self.client.post(action or page, data=sent, headers=self.headers)

    def sign_in(self, name: str = "admin", password: str = ADMIN_PASSWORD, **more: str) -> Any:
        """Sign in."""
        return self.send("/login", username=name, password=password, **more)


@pytest.fixture
def browser(app: Flask) -> Browser:
    """The administrator's browser, signed in."""
    browser = Browser(app)
    assert browser.sign_in().status_code == 303
    return browser
