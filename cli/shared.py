"""The verbs that every host has: logs, open, passwords."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from cli import doors
from cli.running import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.hosts import Host

_ON_HOST = Path(__file__).with_name("host_logs.py")
# Beside the units of the table of services: the engine, and what our timers start.
_MORE_UNITS = ("docker.service", "labstack-*")
# What the table calls by its protocol or program, and Compose by its service.
_COMPOSE = {"http": "apache", "https": "apache", "flask": "flask-app", "page": "apache"}


def units() -> tuple[list[str], dict[str, str]]:
    """Returns the stack's units, and names of the table of services with what they stand for."""
    table = yaml.safe_load((ROOT / "group_vars/all/services.yml").read_text(encoding="utf-8"))
    named = {
        name: row["unit"]
        for name, row in table["stack_services"].items()
        if row.get("unit", "compose") != "compose"
    }
    return [*named.values(), *_MORE_UNITS], named | _COMPOSE


def _terminal() -> bool:
    return sys.stdout.isatty()


def add_to(group: click.Group, host: Callable[[], Host]) -> None:
    """Gives a host's group of verbs those that all hosts share."""

    @group.command()
    @click.argument("services", nargs=-1, metavar="[SERVICE]...")
    @click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
    @click.option(
        "--since",
        default="1h",
        metavar="TIME",
        help="How far back: 30m, 1h (default), 2d, or '2026-11-30 20:15' (UTC).",
    )
    @click.option("--grep", metavar="REGEX", help="Only lines in which this is found.")
    @click.option(
        "-n", "--lines", default=200, metavar="N", help="The last N lines (200); 0 for all of them."
    )
    def logs(
        services: tuple[str, ...], follow: bool, since: str, grep: str | None, lines: int
    ) -> None:
        """Show what containers and units have logged, by time.

        SERVICE is a container's (flask-app, apache, mysql), a unit (prometheus, grafana, docker,
        ssh); without one, all of the stack. Times are UTC.
        """
        own, aliases = units()
        asked = {
            "services": services,
            "units": own,
            "aliases": aliases,
            "since": since,
            "grep": grep,
            "lines": lines,
            "follow": follow,
        }
        program = _ON_HOST.read_text(encoding="utf-8")
        _stream(host(), ("sudo", "python3", "-I", "-c", program, json.dumps(asked)))

    @group.command("open")
    @click.argument("page", default="page", metavar="[PAGE]")
    @click.option("--print", "only_print", is_flag=True, help="Start no browser.")
    def open_(page: str, only_print: bool) -> None:
        """Print where the pages are, and open one in a browser.

        PAGE is page (the web page, default), grafana, prometheus or node. On a computer without
        windows the addresses are only printed.
        """
        found = doors.of(host())
        wanted = next((door for door in found if door.name == page), None)
        if wanted is None:
            there = ", ".join(door.name for door in found)
            raise click.UsageError(f"this host has no {page}; it has: {there}")
        click.echo(doors.table([(door.name, door.title, door.url) for door in found]))
        if not only_print and doors.has_browser():
            click.launch(wanted.url)

    @group.command()
    @click.option("--show", is_flag=True, help="Print them where the output is no terminal, too.")
    def passwords(show: bool) -> None:
        """Show with which names and passwords people sign in.

        They are read on the host, over SSH, and kept nowhere here. For a pipe or a file --show
        must be said.
        """
        one = host()
        if not show and not _terminal():
            raise click.ClickException(
                "the output is no terminal, so the passwords would be kept where it goes\n"
                f"-> {one.verb} passwords --show"
            )
        found = doors.of(one)
        values = doors.passwords(one, found)
        rows = [("PAGE", "NAME", "PASSWORD")]
        rows += [
            (door.title, door.user, values.get(door.secret, "(not on this host)")) for door in found
        ]
        click.echo(doors.table(rows))


def _stream(host: Host, command: tuple[str, ...]) -> None:
    """Runs a command on a host and prints what it prints.

    Its input is the line that holds it there: the host's program ends when it is closed, also where
    this one was killed. Raises Exit where the command fails.
    """
    # The host's shell reads the line again.
    line = (*host.ssh(), shlex.join(command))
    process = subprocess.Popen(line, cwd=ROOT, env=environment(host.name), stdin=subprocess.PIPE)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise click.exceptions.Exit(130) from None
    if status != 0:
        raise click.exceptions.Exit(1 if status < 0 else status)
