"""Backups: the verbs of every host, and what this computer has of them."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.running import call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PARTS = ("app", "grafana", "secrets")
# What restic names by the SHA-256 of its content.
_NAMED_BY_CONTENT = ("data", "index", "keys", "snapshots")


@dataclass(frozen=True)
class Kept:
    """A backup on this computer.

    Attributes:
        host: the folder of its host.
        store: the folder of its repository, in that.
        note: what is known of it.
    """

    host: str
    store: Path
    note: dict[str, Any]


def folder() -> Path:
    """Returns where this computer keeps its copies: LAB_BACKUPS, or ~/labstack-backups."""
    return Path(os.environ.get("LAB_BACKUPS") or "~/labstack-backups").expanduser()


def label(host: str) -> str:
    """Returns the name of a host's folder: "lab", "ec2", or its address."""
    name = {"ec2": "EC2_NAME", "lab": "LABSTACK_LAB"}.get(host)
    other = os.environ.get(name, "") if name else ""
    return f"{host}-{other}" if other else host


def kept(host: str | None = None) -> list[Kept]:
    """Returns the backups on this computer, the newest first; those of one host, or all."""
    found = [
        Kept(path.parts[-4], path.parent.parent, json.loads(path.read_text(encoding="utf-8")))
        for path in folder().glob(f"{host or '*'}/*/catalogue/*.json")
    ]
    return sorted(found, key=lambda one: str(one.note["id"]), reverse=True)


def age(time: str, now: datetime.datetime) -> str:
    """Returns the time since a moment (ISO 8601): "3 d", "5 h", "12 min"."""
    minutes = int((now - datetime.datetime.fromisoformat(time)).total_seconds() // 60)
    if minutes >= 2 * 1440:
        return f"{minutes // 1440} d"
    return f"{minutes // 60} h" if minutes >= 120 else f"{max(0, minutes)} min"


def size(count: float) -> str:
    """Returns a number of bytes as people read it: "12.3 MB"."""
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def table(rows: list[Kept], now: datetime.datetime) -> Iterator[str]:
    """Yields the lines of the list."""
    yield f"{'ID':17}{'AGE':>8}  {'HOST':16}{'ROWS':>10}{'SIZE':>11}  CHECKED  BY"
    for one in rows:
        note = one.note
        checked = "drilled" if note.get("drilled") else "whole" if note.get("checked") else "no"
        yield (
            f"{note['id']:17}{age(note['time'], now):>8}  {one.host:16}{note['rows']:>10}"
            f"{size(note['size']):>11}  {checked:7}  {note['by']} {note['reason']}".rstrip()
        )


def damaged(store: Path) -> list[Path]:
    """Returns the files of a copied repository whose content is not what their names say."""
    found = []
    for kind in _NAMED_BY_CONTENT:
        for path in sorted((store / "restic" / kind).rglob("*")):
            if path.is_file():
                with path.open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() != path.name:
                        found.append(path)
    return found


@click.command()
@click.option(
    "--verify", is_flag=True, help="Read every file of them, and compare it with its name."
)
def backups(verify: bool) -> None:
    """List the backups on this computer, the newest first.

    They are in ~/labstack-backups, or where LAB_BACKUPS says. No host is asked.
    """
    rows = kept()
    if not rows:
        raise click.ClickException(f"no backups in {folder()}\n-> ./lab backup    # makes one")
    click.echo("\n".join(table(rows, datetime.datetime.now(datetime.UTC))))
    if not verify:
        return
    wrong = [path for store in sorted({one.store for one in rows}) for path in damaged(store)]
    if wrong:
        listed = "\n".join(map(str, wrong))
        raise click.ClickException(
            f"damaged, so backups that need them cannot be restored from here:\n{listed}\n"
            "-> remove these files, then ./lab backup    # fetches them anew from the host"
        )
    click.echo("Every file is what its name says.")


def _need_rsync() -> None:
    if shutil.which("rsync"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        click.echo("lab: installing rsync ...", err=True)
        call("apt-get", "install", "-qq", "-y", "--no-install-recommends", "rsync")
        return
    raise click.ClickException(
        "rsync is missing on this computer\n"
        "-> sudo apt-get install rsync    # macOS: brew install rsync"
    )


def _extra(**values: object) -> tuple[str, str]:
    return "-e", json.dumps(values)


def save(host: str, reason: str = "", variables: Sequence[str] = ()) -> None:
    """Makes a backup of a host, and copies it to this computer.

    Args:
        host: "lab", "ec2", or an address.
        reason: why, as the list of backups says it.
        variables: Ansible's own, as name=value or @file.
    """
    _need_rsync()
    where = str(folder() / label(host))
    given = _extra(backup_controller_directory=where, backup_reason=reason)
    call("ansible-playbook", "playbooks/backup.yml", *passed(variables), *given, host=host)


def choose(identifier: str | None, host: str) -> Kept:
    """Returns the backup that is meant: by its id, else the newest of the host, else of any.

    Raises:
        ClickException: there is none.
    """
    rows = [one for one in kept() if identifier in (None, one.note["id"])]
    own = [one for one in rows if one.host == label(host)]
    if not rows:
        what = f"no backup {identifier}" if identifier else "no backups"
        raise click.ClickException(f"{what} in {folder()}\n-> ./lab backups    # lists them")
    return (own or rows)[0]


def _agreed(question: str, yes: bool) -> None:
    try:
        agreed = yes or click.confirm(question)
    except click.Abort as error:
        raise click.ClickException("nobody answers, so nothing was done\n-> --yes") from error
    if not agreed:
        click.echo("Nothing was done.")
        raise click.exceptions.Exit(1)


def _restore(
    host: str,
    identifier: str | None,
    only: tuple[str, ...],
    *,
    target: str,
    yes: bool,
    variables: Sequence[str],
) -> None:
    given: dict[str, object] = {
        "restore_confirm": "yes",
        "backup_restore_only": list(only or PARTS),
    }
    if target:
        described = f"the backup {identifier or 'that is the newest'} of the target {target}"
        given |= {"backup_restore_target": target, "backup_restore_id": identifier or ""}
    else:
        one = choose(identifier, host)
        old = age(one.note["time"], datetime.datetime.now(datetime.UTC))
        described = (
            f"the backup {one.note['id']} of {one.host} ({old} old, {one.note['rows']} rows, "
            f"{size(one.note['size'])})"
        )
        given |= {
            "backup_controller_directory": str(one.store.parent),
            "backup_restore_store": one.store.name,
            "backup_restore_id": one.note["id"],
        }
    _agreed(f"Replace {', '.join(only or PARTS)} of {host} by {described}?", yes)
    if "LAB_BACKUP_KEY" not in os.environ and sys.stdin.isatty():
        os.environ["LAB_BACKUP_KEY"] = click.prompt(
            "The key of these backups (Enter: this host made them, and has it)",
            hide_input=True,
            default="",
            show_default=False,
        )
    _need_rsync()
    # What was agreed to counts most.
    words = [*passed(variables), *_extra(**given)]
    call("ansible-playbook", "playbooks/restore.yml", *words, host=host)


def passed(variables: Sequence[str]) -> list[str]:
    """Returns variables as arguments of ansible-playbook."""
    return [word for variable in variables for word in ("-e", variable)]


EXTRA = click.option(
    "-e",
    "--extra-vars",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable for Ansible, or @FILE with some.",
)


def add_verbs(
    group: click.Group, fixed: str | None, ready: Callable[[Sequence[str]], None] | None = None
) -> None:
    """Gives the verbs to the group of a kind of host.

    Args:
        group: the kind's verbs.
        fixed: "lab" or "ec2"; None: the address that --host has named.
        ready: brings the host to being, before a restore; it is given the variables.
    """

    def host() -> str:
        return fixed or str(click.get_current_context().obj)

    @group.command()
    @click.option("--verify", is_flag=True, help="Read and check all backups on the host, too.")
    @click.option("--reason", default="", help="Why, as the list of backups says it.")
    @EXTRA
    def backup(verify: bool, reason: str, variables: tuple[str, ...]) -> None:
        """Make a backup, read it back, and copy it to this computer.

        Databases, secrets, Grafana and volumes, encrypted. The key that opens them is shown the
        first time: keep it.
        """
        save(host(), reason, variables)
        if verify:
            call(
                "ansible",
                "all",
                "-b",
                "-m",
                "ansible.builtin.command",
                "-a",
                "/usr/bin/python3 -I -S -B /usr/local/lib/labstack/backup verify",
                *passed(variables),
                host=host(),
            )
            wrong = [
                path for one in {k.store for k in kept(label(host()))} for path in damaged(one)
            ]
            if wrong:
                raise click.ClickException(
                    "damaged on this computer:\n" + "\n".join(map(str, wrong))
                )

    @group.command()
    @click.argument("identifier", metavar="[ID]", required=False)
    @EXTRA
    def drill(identifier: str | None, variables: tuple[str, ...]) -> None:
        """Try a restore on the host, beside what is there.

        A backup goes into scratch schemas, each table is compared, and they are dropped.
        """
        call(
            "ansible",
            "all",
            "-b",
            "-m",
            "ansible.builtin.command",
            "-a",
            f"/usr/bin/python3 -I -S -B /usr/local/lib/labstack/backup drill {identifier or ''}",
            *passed(variables),
            host=host(),
        )

    @group.command()
    @click.argument("identifier", metavar="[ID]", required=False)
    @click.option(
        "--only", multiple=True, type=click.Choice(PARTS), help="This part, not everything."
    )
    @click.option(
        "--from-target",
        "target",
        default="",
        help="From one of backup_targets, not from this computer.",
    )
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @EXTRA
    def restore(
        identifier: str | None,
        only: tuple[str, ...],
        target: str,
        yes: bool,
        variables: tuple[str, ...],
    ) -> None:
        """Restore the newest backup, or one by its ID.

        Onto the host that made it, or onto a new one: then its key is asked for (LAB_BACKUP_KEY).
        The whole backup is read and checked before anything is replaced; what was there stays until
        the new has proven itself. Killed in between, it can be run again.
        """
        if ready:
            ready(variables)
        _restore(host(), identifier, only, target=target, yes=yes, variables=variables)
