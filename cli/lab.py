"""The verbs of the stand-in host on this machine."""

from __future__ import annotations

import click

from cli import backup, deploying, evidence, shared
from cli import status as report
from cli.hosts import Host
from cli.passing import Commanding, Passing
from cli.running import ask, become, call, only_told, testbed

SSH = "./lab ssh"


def _hosts() -> dict[str, str]:
    """The addresses of this checkout's running hosts by their names. Raises ClickException."""
    found = dict(line.split() for line in ask(*testbed("addresses")).splitlines())
    if not found:
        raise click.ClickException("no stand-in host of this checkout runs\n-> ./lab up")
    return found


def login() -> tuple[str, ...]:
    """The command line that logs in to the stand-in host. Raises ClickException: none runs."""
    return ("ssh", "-F", ".lab/ssh_config", next(iter(_hosts())))


@click.group()
def lab() -> None:
    """The stand-in host on this machine."""


@lab.command(cls=Passing)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
def up(arguments: tuple[str, ...]) -> None:
    """Start a stand-in host and bring it to the whole stack.

    Arguments go to ansible-playbook: ./lab up --check
    """
    call(*testbed("up"))
    call("ansible-playbook", "site.yml", *report.by(SSH), *arguments, host="lab")
    # A dry run has brought nothing up.
    if not only_told(arguments):
        click.echo("To end it: ./lab down")


@lab.command(cls=Passing)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
def status(arguments: tuple[str, ...]) -> None:
    """Say where the stand-in host is, and whether the stack works.

    Looks with the verification's own checks: arguments go to ansible-playbook for
    playbooks/verify.yml, and -v shows each check. The exit status is 1 where something does
    not work.
    """
    for name, address in _hosts().items():
        click.echo(f"{name}  running at {address}")
    report.tell("lab", SSH, arguments)


@lab.command("report", help=evidence.HELP, context_settings=evidence.PASS_ON)
@evidence.options
def evidence_report(language: str, no_run: bool, arguments: tuple[str, ...]) -> None:
    """Writes evidence that the stack works."""
    evidence.write("lab", SSH, language, no_run, arguments)


@lab.command(cls=Commanding)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
def ssh(command: tuple[str, ...]) -> None:
    """Open a shell on the stand-in host, or run one command there."""
    become(*login(), *command)


@lab.command()
@click.option("--all", "every", is_flag=True, help="The hosts of every lab of this checkout.")
@click.option("--purge", is_flag=True, help="With the last host, the cached images too.")
def down(every: bool, purge: bool) -> None:
    """Remove the stand-in host; with the last one, what served it."""
    options = [name for name, given in (("--all", every), ("--purge", purge)) if given]
    become(*testbed("down", *options))


deploying.add_to(lab, lambda: Host("lab", "./lab", login))
shared.add_to(lab, lambda: Host("lab", "./lab", login))
backup.add_verbs(lab, "lab", lambda _: call(*testbed("up")))
