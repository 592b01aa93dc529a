"""The verbs of a host whose address is known: EC2_USER and EC2_KEY say how to log in."""

from __future__ import annotations

import os

import click

from cli import backup
from cli import status as report
from cli.passing import Commanding, Passing
from cli.running import become, call


def _ssh(address: str) -> str:
    return f"./lab --host {address} ssh"


@click.group()
def address() -> None:
    """A host by its address."""


@address.command(cls=Passing)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
@click.pass_obj
def up(host: str, arguments: tuple[str, ...]) -> None:
    """Bring the host to the whole stack.

    Arguments go to ansible-playbook: ./lab --host 203.0.113.7 up --check
    """
    call("ansible-playbook", "site.yml", *report.by(_ssh(host)), *arguments, host=host)


@address.command(cls=Passing)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
@click.pass_obj
def status(host: str, arguments: tuple[str, ...]) -> None:
    """Say whether the stack works.

    Looks with the verification's own checks: arguments go to ansible-playbook for
    playbooks/verify.yml. The exit status is 1 where something does not work.
    """
    report.tell(host, _ssh(host), arguments)


@address.command(cls=Commanding)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
@click.pass_obj
def ssh(host: str, command: tuple[str, ...]) -> None:
    """Open a shell on the host, or run one command there."""
    key = os.environ.get("EC2_KEY", "")
    become(
        *("ssh", "-o", "StrictHostKeyChecking=accept-new"),
        *(("-i", key) if key else ()),
        *("-l", os.environ.get("EC2_USER") or "ubuntu", host, *command),
    )


backup.add_verbs(address, None)
