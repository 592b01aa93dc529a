"""Migrations: from nothing, from the tables of an earlier release, and after being cut short."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, inspect, text

from tests.conftest import ADMIN_PASSWORD, Server, docker, migration_settings, wait_healthy
from webapp import db, migrate
from webapp.config import Settings
from webapp.passwords import is_right

# As the releases before 0010 made them.
EARLIER = (
    """CREATE TABLE users (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  email VARCHAR(254) NOT NULL,
  username VARCHAR(50) NOT NULL,
  password VARCHAR(255) NOT NULL COMMENT 'scrypt hash, never the password',
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  UNIQUE KEY username (username),
  UNIQUE KEY email (email)
)""",
    """CREATE TABLE products (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  description VARCHAR(1000) NOT NULL DEFAULT '',
  price DECIMAL(10, 2) NOT NULL,
  stock INT UNSIGNED NOT NULL DEFAULT 0,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  CONSTRAINT price_not_negative CHECK (price >= 0)
)""",
    "INSERT INTO users (name, email, username, password)"
    " VALUES ('Ana', 'a@b.c', 'ana', 'scrypt:x'), ('Boss', 'x@b.c', 'admin', 'scrypt:y')",
    "UPDATE users SET updated_at = '2026-01-02 03:04:05'",
    "INSERT INTO products (name, price) VALUES ('Té 🌻', 12.50)",
)


class CutError(Exception):
    """The power is away."""


@pytest.fixture
def blank(owner: Engine, settings: Settings) -> Iterator[Engine]:
    """A database without tables; afterwards it is as the other tests need it."""
    assert settings
    drop(owner)
    yield owner
    drop(owner)
    migrate.upgrade(owner)


def drop(engine: Engine) -> None:
    with engine.begin() as connection:
        for name in inspect(connection).get_table_names():
            connection.execute(text(f"DROP TABLE {name}"))


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def state(engine: Engine) -> dict[str, Any]:
    """Every table as MySQL writes it, and the revision."""
    with engine.begin() as connection:
        tables: dict[str, Any] = {
            # A row that was added and is gone leaves its trace in AUTO_INCREMENT.
            name: re.sub(
                r" AUTO_INCREMENT=\d+",
                "",
                connection.execute(text(f"SHOW CREATE TABLE {name}")).one()[1],
            )
            for name in inspect(connection).get_table_names()
        }
        tables["revision"] = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return tables


def test_a_blank_database_gets_all_tables(blank: Engine) -> None:
    migrate.upgrade(blank)
    made = state(blank)
    assert set(made) == {
        "users", "products", "sessions", "tokens", "audit", "submissions", "requests",
        "alembic_version", "revision",
    }  # fmt: skip
    for key in ("UNIQUE KEY `username` (`username`)", "UNIQUE KEY `email` (`email`)", "utf8mb4"):
        assert key in made["users"]
    assert "`price` decimal(10,2) NOT NULL" in made["products"]
    for table in ("users", "products"):
        for column in ("created_at", "updated_at"):
            assert f"`{column}` timestamp NOT NULL" in made[table]


def test_the_tables_of_an_earlier_release_are_adopted_with_their_rows(blank: Engine) -> None:
    migrate.upgrade(blank)
    wanted = state(blank)
    drop(blank)
    run(blank, *EARLIER)
    migrate.upgrade(blank)
    assert state(blank) == wanted
    with blank.begin() as connection:
        accounts = text("SELECT username, role, version, updated_at FROM users ORDER BY id")
        changed = datetime(2026, 1, 2, 3, 4, 5)
        assert connection.execute(accounts).all() == [
            ("ana", "editor", 1, changed),
            ("admin", "admin", 1, changed),
        ]
        assert connection.scalar(text("SELECT name FROM products")) == "Té 🌻"


def test_a_second_run_changes_nothing(blank: Engine) -> None:
    migrate.upgrade(blank)
    before = state(blank)
    statements: list[str] = []

    @event.listens_for(blank, "before_cursor_execute")
    def listen(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement.split(maxsplit=1)[0].upper())

    migrate.upgrade(blank)
    event.remove(blank, "before_cursor_execute", listen)
    assert not {"CREATE", "ALTER", "DROP", "INSERT", "UPDATE"} & set(statements)
    assert state(blank) == before


def cut_after(changes: int) -> Callable[..., None]:
    """Return a listener that raises CutError after so many statements that change something."""
    left = changes

    def after(_c: Connection, _cursor: object, statement: str, *_r: object) -> None:
        nonlocal left
        if statement.split(maxsplit=1)[0].upper() in {"CREATE", "ALTER", "INSERT", "UPDATE"}:
            left -= 1
            if left == 0:
                raise CutError

    return after


@pytest.mark.parametrize("earlier", [False, True])
def test_a_migration_that_is_cut_short_anywhere_is_finished_by_the_next(
    blank: Engine, earlier: bool
) -> None:
    migrate.upgrade(blank)
    wanted = state(blank)
    cuts = 0
    for cut in range(1, 40):
        drop(blank)
        run(blank, *(EARLIER if earlier else ()))
        after = cut_after(cut)
        event.listen(blank, "after_cursor_execute", after)
        try:
            migrate.upgrade(blank)
        except CutError:
            cuts += 1
        else:
            break
        finally:
            event.remove(blank, "after_cursor_execute", after)
        migrate.upgrade(blank)
        assert state(blank) == wanted, f"cut after change {cut}"
    assert cuts >= 6


def test_mysql_killed_half_way_is_healed(blank: Engine, mysql_server: Server) -> None:
    if mysql_server.container is None:
        pytest.skip("WEBAPP_TEST_MYSQL names a server that the tests do not kill")
    container = mysql_server.container
    migrate.upgrade(blank)
    wanted = state(blank)
    drop(blank)

    def after(_c: Connection, _cursor: object, statement: str, *_r: object) -> None:
        if statement.startswith("CREATE INDEX products_name"):
            docker("kill", container)

    event.listen(blank, "after_cursor_execute", after)
    with pytest.raises(Exception, match=r"MySQL|connection"):
        migrate.upgrade(blank)
    event.remove(blank, "after_cursor_execute", after)
    docker("start", container)
    wait_healthy(container)
    blank.dispose()
    migrate.upgrade(blank)
    assert state(blank) == wanted


def test_only_one_migration_runs_at_a_time(
    blank: Engine, mysql_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0)
    other = db.make_engine(migration_settings(mysql_server))
    with (
        other.connect() as connection,
        migrate.alone(connection),
        pytest.raises(db.DatabaseUnavailableError, match="another migration"),
    ):
        migrate.upgrade(blank)
    other.dispose()
    migrate.upgrade(blank)


def test_two_at_once_both_end_well(blank: Engine, mysql_server: Server) -> None:
    failures: list[BaseException] = []

    def one() -> None:
        engine = db.make_engine(migration_settings(mysql_server))
        try:
            migrate.upgrade(engine)
        except BaseException as error:
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures
    assert state(blank)["revision"] == "0004"


def test_the_first_account_follows_its_secret(blank: Engine) -> None:
    def password() -> str:
        with blank.begin() as connection:
            found = connection.scalar(text("SELECT password FROM users WHERE username = 'admin'"))
        return str(found)

    migrate.upgrade(blank)
    assert migrate.converge_admin(blank, ADMIN_PASSWORD)
    assert is_right(password(), ADMIN_PASSWORD)
    before = password()
    assert not migrate.converge_admin(blank, ADMIN_PASSWORD)
    assert password() == before
    run(blank, "UPDATE users SET name = 'Somebody', email = 'some@body.example'")
    assert migrate.converge_admin(blank, "another")
    assert is_right(password(), "another")
    with blank.begin() as connection:
        assert connection.scalar(text("SELECT name FROM users")) == "Somebody"
    # It is how the host's owner gets in, whatever others have made of it.
    run(blank, "UPDATE users SET role = 'viewer'")
    assert migrate.converge_admin(blank, "another")
    with blank.begin() as connection:
        assert connection.scalar(text("SELECT role FROM users")) == "admin"
    assert not migrate.converge_admin(blank, "another")


def test_sessions_of_the_first_accounts_former_password_end(blank: Engine) -> None:
    migrate.upgrade(blank)
    migrate.converge_admin(blank, ADMIN_PASSWORD)
    session = "INSERT INTO sessions (digest, user_id, expires_at) SELECT 'x', id, NOW() FROM users"
    run(blank, session)
    migrate.converge_admin(blank, ADMIN_PASSWORD)
    with blank.begin() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM sessions")) == 1
    migrate.converge_admin(blank, "another")
    with blank.begin() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM sessions")) == 0


def test_an_address_that_is_taken_does_not_stop_the_first_account(blank: Engine) -> None:
    migrate.upgrade(blank)
    run(
        blank,
        "INSERT INTO users (name, email, username, password)"
        " VALUES ('x', 'admin@webapp.invalid', 'x', 'x')",
    )
    assert migrate.converge_admin(blank, ADMIN_PASSWORD)


def test_a_database_that_is_away_is_told(mysql_server: Server) -> None:
    engine = db.make_engine(migration_settings(mysql_server))
    engine.dispose()
    away = Settings("127.0.0.1", 1, "webapp", "webapp", "x", "x")
    with pytest.raises(db.DatabaseUnavailableError, match="does not answer within 0"):
        migrate.wait_for(db.make_engine(away), timeout=0)


def test_there_is_one_history() -> None:
    assert ScriptDirectory.from_config(migrate.config()).get_heads() == ["0004"]
