"""The database: users, data sources, dashboards; SQLite in the data folder, as by default.

The trap kept: ``admin_password`` of the configuration counts only while there is no user at all.
Secrets of data sources are not stored: they come from the provisioning files at every start.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

# As the original: PBKDF2-HMAC-SHA256, 10 000 rounds, 50 bytes.
_ROUNDS = 10_000
_LENGTH = 50
# As documented for the brute force protection: five failures in five minutes block a login.
_ATTEMPTS = 5
_ATTEMPT_WINDOW = 300.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS user (
    id INTEGER PRIMARY KEY, login TEXT UNIQUE NOT NULL, email TEXT NOT NULL,
    password TEXT NOT NULL, salt TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS login_attempt (login TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS data_source (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, uid TEXT UNIQUE NOT NULL,
    body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dashboard (
    id INTEGER PRIMARY KEY, uid TEXT UNIQUE NOT NULL, title TEXT NOT NULL, folder TEXT NOT NULL,
    body TEXT NOT NULL, version INTEGER NOT NULL, provider TEXT NOT NULL, path TEXT UNIQUE NOT NULL,
    changed REAL NOT NULL, UNIQUE (folder, title));
"""

Row = dict[str, Any]


class StoreError(Exception):
    """The database cannot be opened, or what was asked for is not in it."""


def _digest(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), _ROUNDS, _LENGTH).hex()


class Store:
    """One open database; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open the database, creating it and its folder where missing.

        Raises:
            StoreError: the file cannot be opened or created.
        """
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
            self._connection.row_factory = sqlite3.Row
            with self._lock, self._connection:
                self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"failed to open database {path}: {error}") from error

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _all(self, statement: str, *values: object) -> list[Row]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(statement, values)]

    def _run(self, statement: str, *values: object) -> int:
        with self._lock, self._connection:
            return self._connection.execute(statement, values).rowcount

    def create_admin(self, login: str, email: str, password: str) -> bool:
        """Create the first user where there is none; say whether one was created."""
        if self._all("SELECT id FROM user LIMIT 1"):
            return False
        salt = secrets.token_urlsafe(8)
        self._run(
            "INSERT INTO user (id, login, email, password, salt) VALUES (1, ?, ?, ?, ?)",
            login,
            email,
            _digest(password, salt),
            salt,
        )
        return True

    def set_password(self, user_id: int, password: str) -> None:
        """Give a user another password.

        Raises:
            StoreError: no user has that id, or the password is shorter than four characters.
        """
        if len(password) < 4:
            raise StoreError("new password is too short")
        rows = self._all("SELECT salt FROM user WHERE id = ?", user_id)
        if not rows:
            raise StoreError(
                f"could not read user (id: {user_id}) from database. Error: user not found"
            )
        self._run(
            "UPDATE user SET password = ? WHERE id = ?", _digest(password, rows[0]["salt"]), user_id
        )

    def login(self, name: str, password: str, *, protected: bool = True) -> Row | None:
        """Return the user whose login or email and password these are, None otherwise.

        Args:
            name: login or email.
            password: in clear.
            protected: refuse, whatever the password, after five failures in five minutes.
        """
        since = time.time() - _ATTEMPT_WINDOW
        if protected:
            failures = self._all(
                "SELECT at FROM login_attempt WHERE login = ? AND at > ?", name, since
            )
            if len(failures) >= _ATTEMPTS:
                return None
        for user in self._all("SELECT * FROM user WHERE login = ? OR email = ?", name, name):
            if secrets.compare_digest(_digest(password, user["salt"]), user["password"]):
                self._run("DELETE FROM login_attempt WHERE login = ? OR at <= ?", name, since)
                return user
        self._run("INSERT INTO login_attempt (login, at) VALUES (?, ?)", name, time.time())
        return None

    def data_sources(self) -> list[Row]:
        """Return every data source, by name."""
        rows = self._all("SELECT * FROM data_source ORDER BY name")
        return [{**json.loads(row["body"]), "id": row["id"], "uid": row["uid"]} for row in rows]

    def save_data_source(self, source: Row) -> None:
        """Insert or update a provisioned data source; the name decides which.

        Raises:
            StoreError: the data source exists under another uid (the trap: uids cannot be changed),
            or the
                uid belongs to another data source.
        """
        body = json.dumps({k: v for k, v in source.items() if k not in ("uid", "secureJsonData")})
        rows = self._all("SELECT uid FROM data_source WHERE name = ?", source["name"])
        if rows and rows[0]["uid"] != source["uid"]:
            raise StoreError("data source not found")
        try:
            self._run(
                "INSERT INTO data_source (name, uid, body) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET body = excluded.body",
                source["name"],
                source["uid"],
                body,
            )
        except sqlite3.IntegrityError as error:
            raise StoreError("data source with the same uid already exists") from error

    def delete_data_source(self, name: str) -> bool:
        """Delete a data source by name; say whether there was one."""
        return self._run("DELETE FROM data_source WHERE name = ?", name) > 0

    def dashboards(self) -> list[Row]:
        """Return every dashboard, by title; ``body`` is the parsed JSON."""
        rows = self._all("SELECT * FROM dashboard ORDER BY title")
        return [{**row, "body": json.loads(row["body"])} for row in rows]

    def save_dashboard(
        self, provider: str, path: str, changed: float, folder: str, body: Row
    ) -> None:
        """Insert or update the dashboard that a provider read from a file.

        Raises:
            StoreError: another file's dashboard has the uid, or the title in that folder.
        """
        uid, title = body["uid"], body["title"]
        for row in self._all("SELECT * FROM dashboard WHERE path != ?", path):
            if row["uid"] == uid:
                raise StoreError(f"a dashboard with the same uid already exists: {row['path']}")
            if (row["folder"], row["title"]) == (folder, title):
                raise StoreError(
                    f"a dashboard with the same name in the folder already exists: {row['path']}"
                )
        self._run("DELETE FROM dashboard WHERE path = ? AND uid != ?", path, uid)
        self._run(
            "INSERT INTO dashboard (uid, title, folder, body, version, provider, path, changed) "
            "VALUES (?, ?, ?, ?, 1, ?, ?, ?) "
            "ON CONFLICT (path) DO UPDATE SET title = excluded.title, folder = excluded.folder, "
            "body = excluded.body, version = version + 1, provider = excluded.provider, "
            "changed = excluded.changed",
            uid,
            title,
            folder,
            json.dumps(body),
            provider,
            path,
            changed,
        )

    def delete_dashboard(self, path: str) -> None:
        """Delete the dashboard that came from a file."""
        self._run("DELETE FROM dashboard WHERE path = ?", path)
