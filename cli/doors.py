"""What people open of the stack and how they sign in: asked of the inventory and the host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.running import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cli.hosts import Host

# group_vars/all/services.yml has the table; passwords are only on the host.
_SECRETS = "secrets_directory | default('/etc/labstack/secrets')"
_OPEN = "__stack_doors | selectattr('server.present') | rejectattr('server.loopback') | list"
WANTED = f"{{{{ {{'doors': {_OPEN}, 'secrets': {_SECRETS}}} }}}}"


@dataclass(frozen=True)
class Door:
    """A page of the stack.

    Attributes:
        name: what `./lab open` takes.
        title: what people call it.
        url: where it is.
        user: the name with which people sign in.
        secret: the file of its password on the host.
    """

    name: str
    title: str
    url: str
    user: str
    secret: str


def read(document: Mapping[str, Any]) -> list[Door]:
    """Returns the doors of the first host, from what Ansible's JSON callback says.

    Raises:
        ClickException: there is no host, or its variables cannot be resolved.
    """
    for play in document["plays"]:
        for task in play["tasks"]:
            for result in task["hosts"].values():
                said = result.get("msg")
                if isinstance(said, dict):
                    return [
                        Door(
                            row["name"],
                            row["title"],
                            row["url"],
                            row["user"],
                            f"{said['secrets']}/{row['secret']}",
                        )
                        for row in said["doors"]
                    ]
                raise click.ClickException(str(said))
    raise click.ClickException("the inventory has no host\n-> ./lab ec2 up, or ./lab up")


def of(host: Host) -> list[Door]:
    """Asks the inventory for a host's doors; the host itself is not asked."""
    done = subprocess.run(
        ("ansible", "all", "-m", "ansible.builtin.debug", "-a", f"msg={WANTED}"),
        cwd=ROOT,
        env=environment(host.name)
        | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    document = re.search(r"^\{$.*", done.stdout, re.MULTILINE | re.DOTALL)
    if not document:
        raise click.ClickException((done.stderr or done.stdout).strip())
    return read(json.loads(document[0]))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows in columns, two spaces between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def has_browser() -> bool:
    """Whether a browser with windows can be started here, and not over SSH on a server."""
    windows = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME")
    return sys.platform == "darwin" or any(os.environ.get(name) for name in windows)


def passwords(host: Host, doors: Sequence[Door]) -> dict[str, str]:
    """Reads the doors' passwords on the host.

    Returns:
        by the secret's file.

    Raises:
        Exit: the host could not be asked; ssh or sudo has said why.
        ClickException: the host has none of them yet.
    """
    files = sorted({door.secret for door in doors})
    done = subprocess.run(
        (*host.ssh(), "sudo", "grep", "-Hs", ".", *files),
        cwd=ROOT,
        env=environment(host.name),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = dict(line.split(":", 1) for line in done.stdout.splitlines())
    if not found:
        if done.returncode == 255:
            raise click.exceptions.Exit(1)
        raise click.ClickException(
            f"the host has no passwords yet; the first run makes them\n-> {host.verb} up"
        )
    return found
