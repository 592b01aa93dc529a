"""`python -m webapp.migrate`: brings the tables and the first account to what this release needs.

Runs in a container of its own before the application starts, as a MySQL user who may alter tables.
Whatever cuts it short, the next run finishes it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, delete, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import undefer

from webapp import logs
from webapp.accounts import ADMIN_NAME
from webapp.config import MigrationSettings, SettingsError
from webapp.db import DatabaseUnavailableError, make_engine, session_of
from webapp.models import ADMIN, SignedIn, User
from webapp.passwords import hash_password, is_right

# Seconds. MySQL's first start, on a small host's disk, is in the first.
START_TIMEOUT = 120
LOCK_TIMEOUT = 60
STATEMENT_TIMEOUT = 600

logger = logs.logger("webapp.migrate")


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; no file is needed."""
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    configuration.attributes["connection"] = connection
    return configuration


def wait_for(engine: Engine, timeout: float = START_TIMEOUT) -> None:
    """Wait until MySQL answers.

    Raises:
        DatabaseUnavailableError: it does not in `timeout` seconds.
    """
    limit = time.monotonic() + timeout
    while True:
        try:
            with engine.connect():
                return
        except (DatabaseUnavailableError, DBAPIError) as error:
            if time.monotonic() > limit:
                raise DatabaseUnavailableError(
                    f"MySQL does not answer within {timeout:g} s: {error}"
                ) from error
        # A server that starts tells nobody when it is ready; only the next try shows it.
        time.sleep(0.5)


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Let no other migration run at the same time; the server frees the lock of a dead one.

    Raises:
        DatabaseUnavailableError: another one runs for longer than LOCK_TIMEOUT seconds.
    """
    got = connection.execute(text("SELECT GET_LOCK('webapp.migrate', :t)"), {"t": LOCK_TIMEOUT})
    if got.scalar() != 1:
        raise DatabaseUnavailableError("another migration is running")
    try:
        yield
    finally:
        connection.execute(text("DO RELEASE_LOCK('webapp.migrate')"))


def upgrade(engine: Engine) -> None:
    """Bring the tables to the newest revision; does nothing when they are there.

    Raises:
        DatabaseUnavailableError: another migration keeps the lock.
    """
    with engine.connect() as connection, alone(connection):
        connection.commit()
        command.upgrade(config(connection), "head")
        connection.commit()


def converge_admin(engine: Engine, password: str) -> bool:
    """Make sure that the account `admin` exists, with this password; return whether it changed.

    It is how the host's owner gets in, so it is an administrator, whatever others have made of it;
    sessions of another password end. Everything else of it stays as it is.
    """
    with session_of(engine) as session:
        wanted = select(User).where(User.username == ADMIN_NAME).options(undefer(User.password))
        admin = session.scalar(wanted)
        if admin is None:
            email = f"{ADMIN_NAME}@webapp.invalid"
            # Nobody's address; but somebody may have typed just this one.
            while session.scalar(select(User.id).where(User.email == email)):
                email = f"0{email}"
            admin = User(name="Administrator", username=ADMIN_NAME, email=email)
            session.add(admin)
        elif admin.role == ADMIN and is_right(admin.password, password):
            return False
        else:
            admin.version += 1
            session.execute(delete(SignedIn).where(SignedIn.user_id == admin.id))
        admin.role = ADMIN
        admin.password = hash_password(password)
        return True


def main() -> int:
    """Run the migration; return the exit status."""
    logs.to_stderr()
    try:
        settings = MigrationSettings.from_environment()
        engine = make_engine(settings, STATEMENT_TIMEOUT)
        wait_for(engine)
        upgrade(engine)
        if converge_admin(engine, settings.admin_password):
            logger.info("The account %s has the password of its secret now.", ADMIN_NAME)
    except (SettingsError, DatabaseUnavailableError, SQLAlchemyError, CommandError) as error:
        logger.error("The migration failed: %s", error)
        return 1
    logger.info("The tables are up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
