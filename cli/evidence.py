"""The verb `report`, which every kind of host has: evidence that the stack works."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from cli import status
from cli.running import call, need_report_tools

Function = Callable[..., None]

HELP = """Write evidence that the stack works.

HTML, PDF, JSON and pictures, in .lab/report (docs/report.md). Runs site.yml before, for a second
run that changes nothing is part of it. Other arguments go to ansible-playbook.
"""


def options(function: Function) -> Function:
    """Gives a command the options of the report, and ansible-playbook the rest."""
    for decorate in (
        click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]..."),
        click.option("--no-run", is_flag=True, help="Leave out the run of site.yml."),
        click.option(
            "--language",
            type=click.Choice(["en", "es"]),
            default="en",
            show_default=True,
            help="The language of the report.",
        ),
    ):
        function = decorate(function)
    return function


PASS_ON = {"ignore_unknown_options": True}


def write(host: str, ssh: str, language: str, no_run: bool, arguments: tuple[str, ...]) -> None:
    """Writes the report of a host.

    Args:
        host: as cli.running.environment takes it.
        ssh: as cli.status.by takes it.
        language: of the report.
        no_run: whether site.yml is left out.
        arguments: more arguments of ansible-playbook.
    """
    need_report_tools()
    if not no_run:
        call("ansible-playbook", "site.yml", *status.by(ssh), *arguments, host=host)
    chosen = ("-e", json.dumps({"report_language": language}))
    call(
        "ansible-playbook", "playbooks/report.yml", *status.by(ssh), *chosen, *arguments, host=host
    )
