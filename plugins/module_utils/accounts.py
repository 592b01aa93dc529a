"""System users that services run as."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

from .services import Run


class AccountError(Exception):
    """A message for the user."""


def exists(name: str) -> bool:
    """Tell whether the host has a user of this name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def useradd(name: str, home: Path) -> list[str]:
    """Return the command that makes a system user that cannot log in, and its group.

    A group that is there already, left by a killed useradd or made before, becomes the user's.
    """
    try:
        grp.getgrnam(name)
        group = ["--gid", name]
    except KeyError:
        group = ["--user-group"]
    return [
        *("useradd", "--system", *group),
        *("--home-dir", str(home), "--no-create-home"),
        *("--shell", "/usr/sbin/nologin", name),
    ]


def converge(name: str, home: Path, run: Run, check: bool) -> bool:
    """Make the user where it is missing; return whether it was. Raises AccountError.

    A user that is there stays as it is: its home or shell may be somebody's choice.
    """
    if exists(name):
        return False
    if not check:
        status, output, errors = run(useradd(name, home))
        if status != 0:
            raise AccountError(
                f"Cannot make the user {name}: {(errors or output).strip() or f'status {status}'}. "
                "The task must run as root (become: true)."
            )
    return True
