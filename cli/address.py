"""The verbs of a host whose address is known: EC2_USER and EC2_KEY say how to log in."""

from __future__ import annotations

import os

import click

from cli import backup, deploying, evidence, shared
from cli import status as report
from cli.hosts import Host
from cli.passing import Commanding, Passing
from cli.running import become, call


def _ssh(address: str) -> str:
    return f"./lab --host {address} ssh"


def _login(host: str) -> tuple[str, ...]:
    key = os.environ.get("EC2_KEY", "")
    return (
        *("ssh", "-o", "StrictHostKeyChecking=accept-new"),
        *(("-i", key) if key else ()),
        *("-l", os.environ.get("EC2_USER") or "ubuntu", host),
    )


def _host() -> Host:
    named: str = click.get_current_context().find_root().obj
    return Host(named, f"./lab --host {named}", lambda: _login(named))


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
    playbooks/verify.yml, and -v shows each check. The exit status is 1 where something does
    not work.
    """
    report.tell(host, _ssh(host), arguments)


@address.command("report", help=evidence.HELP, context_settings=evidence.PASS_ON)
@evidence.options
@click.pass_obj
def evidence_report(host: str, language: str, no_run: bool, arguments: tuple[str, ...]) -> None:
    """Writes evidence that the stack works."""
    evidence.write(host, _ssh(host), language, no_run, arguments)


@address.command(cls=Commanding)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
@click.pass_obj
def ssh(host: str, command: tuple[str, ...]) -> None:
    """Open a shell on the host, or run one command there."""
    become(*_login(host), *command)


deploying.add_to(address, _host)
shared.add_to(address, _host)
backup.add_verbs(address, None)
