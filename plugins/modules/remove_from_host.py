#!/usr/bin/python
"""Ansible module: takes units, files, users and groups off a host, in the order that works."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: remove_from_host
short_description: Take units, files, users and groups off a host
description:
  - The other direction of M(labstack.stack.files) and
    M(labstack.stack.service), in one step. Stops and disables the units, removes the
    paths, lets systemd read its units again, and removes users and groups.
  - What is not there is passed over, so that a run which was cut short is taken up again.
options:
  units:
    description: Names of units; one without a dot is a service.
    type: list
    elements: str
    default: []
  paths:
    description:
      - Files and directories with all that is in them. Absolute, at least two levels deep. A mount
        point is emptied.
    type: list
    elements: path
    default: []
  empty_directories:
    description: Directories that are removed when nothing is left in them.
    type: list
    elements: path
    default: []
  users:
    description: Names of users. Their home directories stay.
    type: list
    elements: str
    default: []
  groups:
    description: Names of groups.
    type: list
    elements: str
    default: []
author: labstack
"""

EXAMPLES = r"""
- name: Take the exporter off
  labstack.stack.remove_from_host:
    units: [node_exporter]
    paths: [/etc/systemd/system/node_exporter.service, /usr/local/bin/node_exporter]
    users: [node_exporter]
"""

RETURN = r"""
removed:
  description: What was there, as "unit x", "path /x", "user x", "group x".
  returned: always
  type: list
  elements: str
"""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.labstack.stack.plugins.module_utils.services import full_name

# Where service notes its reloads.
STAMPS = Path("/run/labstack")


class RemoveError(Exception):
    """Something could not be removed; the message says what and why."""


def run(command: Sequence[str]) -> str:
    """Runs a command and returns its output. Raises RemoveError with its words."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RemoveError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        raise RemoveError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def check_path(path: str) -> None:
    """Refuses paths that name a whole part of the system. Raises RemoveError."""
    parts = Path(path).parts
    if not path.startswith("/") or len(parts) < 3 or ".." in parts:
        raise RemoveError(f"{path!r} is not removed: it is not absolute, or not two levels deep")


def unit_is_there(name: str) -> bool:
    """Says whether systemd knows the unit, or still runs it."""
    answer = run(
        ["systemctl", "show", "--property", "LoadState,ActiveState", full_name(name)]
    ).splitlines()
    return "LoadState=not-found" not in answer or not (
        "ActiveState=inactive" in answer or "ActiveState=failed" in answer
    )


def remove_unit(name: str) -> None:
    """Stops and disables a unit, and forgets that it failed. Raises RemoveError."""
    run(["systemctl", "stop", full_name(name)])
    # A unit that systemd runs without a file has nothing to disable.
    enabled = subprocess.run(
        ["systemctl", "is-enabled", "--quiet", full_name(name)], capture_output=True, check=False
    )
    if enabled.returncode == 0:
        run(["systemctl", "disable", full_name(name)])
    (STAMPS / f"{name}.reloaded").unlink(missing_ok=True)


def is_there(text: str) -> bool:
    """Says whether there is something to remove; of a mount point only its content is."""
    return any(Path(text).iterdir()) if os.path.ismount(text) else os.path.lexists(text)


def remove_path(path: Path) -> None:
    """Removes a file, a link (not what it points to), or a directory. Raises RemoveError.

    A mount point is emptied: the disk is not the stack's.
    """
    try:
        if path.is_mount():
            for inside in path.iterdir():
                remove_path(inside)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise RemoveError(
            f"{error.filename or path} cannot be removed: {error.strerror}"
        ) from error


def is_empty(path: Path) -> bool:
    """Says whether a directory is there and holds nothing."""
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def is_user(name: str) -> bool:
    """Says whether there is such a user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def is_group(name: str) -> bool:
    """Says whether there is such a group."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


class Removal:
    """Removes what is there, and notes it; in check mode it only notes.

    Attributes:
        removed: what was there.
    """

    def __init__(self, check_mode: bool) -> None:
        """Begins with nothing removed."""
        self.removed: list[str] = []
        self._check_mode = check_mode

    def each(
        self,
        kind: str,
        names: Sequence[str],
        there: Callable[[str], bool],
        take: Callable[[str], object],
    ) -> None:
        """Takes those of the names that are there. Raises RemoveError."""
        for name in filter(there, names):
            self.removed.append(f"{kind} {name}")
            if not self._check_mode:
                take(name)

    def everything(self, wanted: dict[str, Any]) -> None:
        """Takes what the module's options name, in the order that works. Raises RemoveError."""
        for path in [*wanted["paths"], *wanted["empty_directories"]]:
            check_path(path)
        self.each("unit", wanted["units"], unit_is_there, remove_unit)
        self.each("path", wanted["paths"], is_there, lambda name: remove_path(Path(name)))
        if wanted["units"] and self.removed and not self._check_mode:
            run(["systemctl", "daemon-reload"])
        self.each(
            "path",
            wanted["empty_directories"],
            lambda name: is_empty(Path(name)),
            lambda name: Path(name).rmdir(),
        )
        # The user's own group goes with the user.
        self.each("user", wanted["users"], is_user, lambda name: run(["userdel", name]))
        self.each("group", wanted["groups"], is_group, lambda name: run(["groupdel", name]))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "path", "default": []},
            "empty_directories": {"type": "list", "elements": "path", "default": []},
            "users": {"type": "list", "elements": "str", "default": []},
            "groups": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    removal = Removal(module.check_mode)
    try:
        removal.everything(module.params)
    except RemoveError as error:
        module.fail_json(
            msg=f"{error}.\n-> run the playbook again once that is solved; what is gone stays gone",
            removed=removal.removed,
            changed=bool(removal.removed),
        )
    module.exit_json(changed=bool(removal.removed), removed=removal.removed)


if __name__ == "__main__":
    main()
