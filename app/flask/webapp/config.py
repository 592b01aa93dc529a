"""Settings: addresses from the environment, secrets from files.

No secret is ever taken from the environment: `docker inspect` shows that, and every process
inherits it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Threads that answer (serve.py), and the most connections to MySQL (which allows 30 in all).
THREADS = 8


class SettingsError(Exception):
    """A setting is missing or unusable. The message names the file."""


def read_secret(directory: Path, name: str) -> str:
    """Read a secret; a newline at its end does not count.

    Raises:
        SettingsError: the file is missing, unreadable, not UTF-8 or empty.
    """
    path = directory / name
    try:
        value = path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"Secret {name} cannot be read from {path}: {error}. "
            "On a development machine make the secrets with ./init-secrets.sh; "
            "on a host the file is root:10001 0440."
        ) from error
    if not value:
        raise SettingsError(f"Secret {name} in {path} is empty.")
    return value


@dataclass(frozen=True)
class Settings:
    """What the application must be told. Secrets are left out of its repr."""

    database_host: str
    database_port: int
    database_name: str
    database_user: str
    database_password: str = field(repr=False)
    secret_key: str = field(repr=False)
    release: str = "dev"
    pool_size: int = THREADS
    # Days for which the list of changes is kept; 0: for ever.
    audit_days: int = 365
    # Where the compiled catalogues of the pages' languages are; the image is built with them.
    translations: str = "translations"

    @classmethod
    def from_environment(cls) -> Settings:
        """Read MYSQL_*, WEBAPP_* and the files in WEBAPP_SECRETS_DIR (default /run/secrets).

        Raises:
            SettingsError: a secret cannot be read, or what must be a number is none.
        """
        return cls(
            **_database(os.environ.get("MYSQL_USER", "webapp"), "webapp_db_password"),
            secret_key=read_secret(_secrets(), "webapp_secret_key"),
            release=os.environ.get("WEBAPP_RELEASE", "dev"),
            audit_days=_number("WEBAPP_AUDIT_DAYS", 365),
        )


@dataclass(frozen=True)
class MigrationSettings:
    """What the migration must be told: a user who may alter tables, and the first account."""

    database_host: str
    database_port: int
    database_name: str
    database_user: str
    database_password: str = field(repr=False)
    admin_password: str = field(repr=False)
    pool_size: int = 1

    @classmethod
    def from_environment(cls) -> MigrationSettings:
        """Like Settings.from_environment, with the secrets of the migration.

        Raises:
            SettingsError: a secret cannot be read, or MYSQL_PORT is no number.
        """
        return cls(
            **_database("webapp_migration", "webapp_db_migration_password"),
            admin_password=read_secret(_secrets(), "webapp_admin_password"),
        )


def _secrets() -> Path:
    return Path(os.environ.get("WEBAPP_SECRETS_DIR", "/run/secrets"))


def _number(name: str, default: int) -> int:
    given = os.environ.get(name) or str(default)
    if not (given.isascii() and given.isdecimal()):
        raise SettingsError(f"{name} is {given!r}: a number is needed, for example {default}.")
    return int(given)


def _database(user: str, password: str) -> dict[str, Any]:
    return {
        "database_host": os.environ.get("MYSQL_HOST", "mysql"),
        "database_port": _number("MYSQL_PORT", 3306),
        "database_name": os.environ.get("MYSQL_DATABASE", "webapp"),
        "database_user": user,
        "database_password": read_secret(_secrets(), password),
    }
