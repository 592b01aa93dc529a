"""Ansible module `secret_files`: named secrets as root-only files on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_files
short_description: Make sure that named secrets exist as files on the host
version_added: "0.1.0"
author: labstack (@labstack)
description:
  - Keeps each secret in a file of its own in a directory that only root can enter.
  - A missing secret is created from the system's random source. An existing one is never
    overwritten, unless a value is given and differs.
  - Returns the secrets, so the task must say C(no_log=true).
options:
  directory:
    description: Where the files are. Created if missing, and always put to mode 0700.
    type: path
    required: true
  secrets:
    description: The secrets that must exist. Files of other names in the directory are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the secret and of its file (small letters, digits, C(_), C(-)).
        type: str
        required: true
      value:
        description:
          - The value to keep, for instance from a vault. It wins over what the file has.
          - Left out or null, the file's value counts, and a missing one is created. An empty one
            is an error.
        type: str
      min_length:
        description:
          - Least number of characters of O(secrets[].value). A shorter one is refused before
            anything is kept.
        type: int
        default: 0
      length:
        description: Number of characters, letters and digits, of a secret that is created.
        type: int
        default: 32
      gid:
        description:
          - Number of a group that may read the file (mode 0440), for a container that gets it as
            a bind mount.
          - Left out, the file is for its owner alone (mode 0600).
        type: int
      everybody:
        description:
          - Whether everybody may read the file (mode 0444) to whom it is mounted, for a container
            whose users are not known. On the host, the directory keeps them out.
        type: bool
        default: false
attributes:
  check_mode:
    description: Writes nothing, and returns invented values for missing secrets.
    support: full
  diff_mode:
    description: A secret has no diff.
    support: none
"""

EXAMPLES = r"""
- name: Make sure that the secrets exist
  labstack.stack.secret_files:
    directory: /etc/labstack/secrets
    secrets:
      - name: grafana_admin_password
        value: "{{ vault_grafana_admin_password | default(none) }}"
      - name: webapp_db_password
        gid: 10001
  register: secrets_result
  no_log: true
"""

RETURN = r"""
secrets:
  description: The value of each secret by its name.
  returned: success
  type: dict
versions:
  description:
    - A text for each secret that changes when its value does; C("0") for one that check mode
      would write.
  returned: success
  type: dict
created:
  description: Names of the secrets that did not exist (or were empty files) before.
  returned: success
  type: list
  elements: str
"""

import fcntl
import os
import re
import secrets as random_source
import stat
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host_files import Attributes, make_directory, replace, sweep, write_temporary

_ALPHABET = string.ascii_letters + string.digits
# 12 characters of 62 are 71 bits: below that, an offline guess of a leaked hash is within reach.
_MIN_LENGTH = 12
_DIRECTORY_MODE = 0o700


class SecretError(Exception):
    """A message for the user; it never contains a secret."""


@dataclass(frozen=True)
class Wanted:
    """One entry of the option `secrets`."""

    name: str
    value: str | None = None
    min_length: int = 0
    length: int = 32
    gid: int | None = None
    everybody: bool = False

    @property
    def attributes(self) -> Attributes:
        """Owner, group and mode of the file."""
        if self.everybody:
            return Attributes.own(0o444)
        if self.gid is None:
            return Attributes.own(0o600)
        return Attributes(os.geteuid(), self.gid, 0o440)


@dataclass
class Outcome:
    """What the module returns."""

    changed: bool = False
    secrets: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)


def check_wanted(wanted: list[Wanted]) -> None:
    """Refuse what cannot be a set of secrets. Raises SecretError."""
    names = [secret.name for secret in wanted]
    for secret in wanted:
        if not re.fullmatch(r"[a-z0-9_][a-z0-9_-]*", secret.name):
            raise SecretError(
                f"'{secret.name}' cannot be the name of a secret: use small letters, digits, "
                "underscores and hyphens, for instance grafana_admin_password."
            )
        if names.count(secret.name) > 1:
            raise SecretError(f"The secret '{secret.name}' is listed twice: remove one of them.")
        if secret.length < _MIN_LENGTH:
            raise SecretError(
                f"length of '{secret.name}' is {secret.length}: use {_MIN_LENGTH} or more."
            )
        if secret.value is not None and not secret.value.strip():
            raise SecretError(
                f"The value given for the secret '{secret.name}' is empty: give "
                f'vault_{secret.name} a value (vault_{secret.name}: "…"), or remove the variable, '
                "and a random one is kept on the host."
            )
        if secret.value is not None and len(secret.value.rstrip("\r\n")) < secret.min_length:
            raise SecretError(
                f"The value given for the secret '{secret.name}' is shorter than "
                f"{secret.min_length} characters: give vault_{secret.name} a longer one "
                "(openssl rand -hex 16 prints one), or remove the variable, and a random one is "
                "kept on the host."
            )


def generate(length: int) -> str:
    """Return `length` random letters and digits (5.95 bits each) from the system's source."""
    return "".join(random_source.choice(_ALPHABET) for _ in range(length))


def read_secret(path: Path) -> str | None:
    """Return a file's secret without final line breaks; None if missing or of zero bytes.

    Raises SecretError where the path holds something that is no secret.
    """
    try:
        info = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(info.st_mode):
        raise SecretError(
            f"{path} is not a regular file: look at it (ls -l {path}) and move it away."
        )
    data = path.read_bytes()
    if not data:
        return None
    try:
        value = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError(
            f"{path} is not UTF-8 text: remove it, and the next run creates the secret anew."
        ) from None
    if not value.strip():
        raise SecretError(
            f"{path} holds white space only: remove it, and the next run creates the secret anew."
        )
    return value


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold other runs off: two of them must not both create the same missing secret."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def converge_attributes(path: Path, wanted: Attributes, check: bool) -> bool:
    """Put owner, group and mode of an existing path right; return whether they were wrong."""
    if Attributes.of(path.stat()) == wanted:
        return False
    if not check:
        wanted.apply(path)
    return True


def converge_directory(directory: Path, check: bool) -> bool:
    """Make the directory, for its owner alone; return whether something changed (would change).

    Raises SecretError, OSError.
    """
    wanted = Attributes.own(_DIRECTORY_MODE)
    if directory.is_dir():
        return converge_attributes(directory, wanted, check)
    if directory.exists():
        raise SecretError(f"{directory} is not a directory: set another one, or move it away.")
    if not check:
        make_directory(directory, wanted)
    return True


def converge_secret(directory: Path, wanted: Wanted, check: bool, outcome: Outcome) -> None:
    """Bring one secret's file to its wanted state, and note it in `outcome`.

    Raises SecretError, OSError.
    """
    path = directory / wanted.name
    before = read_secret(path)
    given = None if wanted.value is None else wanted.value.rstrip("\r\n")
    value = given or before or generate(wanted.length)
    outcome.secrets[wanted.name] = value
    if before is None:
        outcome.created.append(wanted.name)
    if value != before:
        outcome.changed = True
        if check:
            outcome.versions[wanted.name] = "0"
            return
        replace(write_temporary(directory, [value.encode()], wanted.attributes), path)
    elif converge_attributes(path, wanted.attributes, check):
        outcome.changed = True
    outcome.versions[wanted.name] = str(path.stat().st_mtime_ns)


def converge(directory: Path, wanted: list[Wanted], check: bool) -> Outcome:
    """Bring all secrets to their wanted state. Raises SecretError, OSError."""
    check_wanted(wanted)
    outcome = Outcome(changed=converge_directory(directory, check))
    if check and not directory.is_dir():
        for secret in wanted:
            converge_secret(directory, secret, check, outcome)
        return outcome
    with locked(directory):
        if not check:
            sweep(directory)
        for secret in wanted:
            converge_secret(directory, secret, check, outcome)
    return outcome


class SecretModule(AnsibleModule):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """An AnsibleModule that writes no arguments to the host's journal and returns none."""

    def _log_invocation(self) -> None:
        """Log nothing: Ansible's masking misses a value with line breaks or quotes."""


def main() -> None:
    """Run as an Ansible module."""
    module = SecretModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "secrets": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "no_log": False,
                "options": {
                    "name": {"type": "str", "required": True},
                    "value": {"type": "str", "no_log": True},
                    "min_length": {"type": "int", "default": 0},
                    "length": {"type": "int", "default": 32},
                    "gid": {"type": "int"},
                    "everybody": {"type": "bool", "default": False},
                },
            },
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    # Ansible would mask the given values in the result too, where they are the very purpose, and a
    # short one in the middle of words. So they leave its list, and the invocation is our own.
    module.no_log_values.clear()
    invocation = {"module_args": {"directory": str(directory)}}
    try:
        outcome = converge(
            directory, [Wanted(**entry) for entry in module.params["secrets"]], module.check_mode
        )
    except SecretError as error:
        module.fail_json(msg=str(error), invocation=invocation)
    except OSError as error:
        module.fail_json(
            msg=f"Cannot keep secrets in {directory}: {error.strerror}: {error.filename}. The task "
            "must run as root (become: true) on a writable filesystem with free space.",
            invocation=invocation,
        )
    module.exit_json(
        changed=outcome.changed,
        secrets=outcome.secrets,
        versions=outcome.versions,
        created=outcome.created,
        invocation=invocation,
    )


if __name__ == "__main__":
    main()
