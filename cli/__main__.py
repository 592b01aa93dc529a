"""`python -m cli`: the root of the command line."""

from __future__ import annotations

import os
import re
import sys

import click

from cli.address import address
from cli.backup import backups
from cli.ec2 import ec2
from cli.lab import lab
from cli.passing import Commanding, Passing
from cli.running import become, need_test_tools

HELP = ["-h", "--help"]
# In the order of a day.
VERBS = (
    *("up", "deploy", "releases", "rollback"),
    *("status", "report", "open", "passwords", "logs", "ssh"),
    *("backup", "restore", "drill", "down"),
)
# What the hosts' verbs do not speak to.
HOSTLESS = ("test", "ec2")


def host_verbs(host: str | None) -> click.Group:
    """Returns the verbs of a host: "lab" (also where none is named), "ec2", or an address."""
    return {"lab": lab, "ec2": ec2}.get(host or "lab", address)


class Root(click.Group):
    """Has the verbs of the host that --host names, beside its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists the verbs in the order of a day."""
        verbs = [*VERBS, *sorted(self.commands)]
        return [verb for verb in verbs if self.get_command(ctx, verb)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Looks among the host's verbs first."""
        verbs = host_verbs(ctx.params.get("host"))
        return verbs.get_command(ctx, cmd_name) or super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuses a verb that this host does not have."""
        host = ctx.params.get("host")
        if host and args[0] in HOSTLESS:
            raise click.UsageError(f"{args[0]} takes no --host")
        if args[0] == "down" and host_verbs(host) is address:
            raise click.UsageError(
                "down removes what up made, which is not a host by its address. To take the stack\n"
                f"off: ./lab --host {host} run ansible-playbook playbooks/teardown.yml"
            )
        return super().resolve_command(ctx, args)


def _host(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is not None and not re.fullmatch(r"[A-Za-z0-9][\w.:-]*", given):
        raise click.BadParameter(f"{given!r} is none of: lab, ec2, an address like 203.0.113.7")
    return given


def _hosts(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in ("lab", "ec2") if name.startswith(incomplete)]


@click.group(cls=Root, invoke_without_command=True, context_settings={"help_option_names": HELP})
@click.option(
    "--host",
    metavar="lab|ec2|ADDRESS",
    callback=_host,
    shell_complete=_hosts,
    help="The host that the verb speaks to: the stand-in on this machine (default), the instance "
    "on AWS, or a host by its address (EC2_USER and EC2_KEY say how to log in).",
)
@click.pass_context
def cli(ctx: click.Context, host: str | None) -> None:
    """From a bare host to the whole stack.

    Each command has a help of its own: ./lab up --help
    """
    ctx.obj = host
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.command(cls=Passing)
@click.argument("parts", nargs=-1, metavar="[PART]...")
def test(parts: tuple[str, ...]) -> None:
    """Set up what the tests need and run them all, or those parts.

    The parts stand at the head of tests/run: ./lab test lint unit
    """
    need_test_tools()
    become("tests/run", *parts)


@cli.command(cls=Commanding)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND...")
@click.pass_obj
def run(host: str | None, command: tuple[str, ...]) -> None:
    """Run a command with the project's tools.

    \b
    EC2_IP=203.0.113.7 ./lab run ansible-playbook site.yml
    ./lab --host ec2 run ansible-playbook playbooks/verify.yml
    """  # noqa: D301 - click's mark of lines that stay as they are
    # Molecule and the linters come with the tests' tools.
    if command[0] == "ansible-lint" or not command[0].startswith("ansible"):
        need_test_tools()
    become(*command, host=host)


cli.add_command(ec2)
cli.add_command(backups)


def main() -> int:
    """Runs the command line; returns the exit status."""
    # A shell completes the name, however it is typed.
    name = "lab" if "_LAB_COMPLETE" in os.environ else "./lab"
    try:
        return int(
            cli.main(prog_name=name, complete_var="_LAB_COMPLETE", standalone_mode=False) or 0
        )
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        message, status = error.format_message(), error.exit_code
    except click.Abort:
        # Ctrl-C needs no message.
        click.echo(err=True)
        return 130
    except OSError as error:
        message, status = str(error), 1
    click.echo(f"lab: {message}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
