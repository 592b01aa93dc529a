"""The verbs of a lab day: the instance on AWS that carries the tag."""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING

import click

from cli import backup, cost, deploying, evidence, paste, shared
from cli import credentials as block
from cli import status as report
from cli.hosts import Host
from cli.passing import Commanding, Passing
from cli.running import KEPT_CREDENTIALS, become, call, environment, only_told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

SSH = "./lab ec2 ssh"


def _aws() -> ModuleType:
    from cli import aws  # noqa: PLC0415 - boto3 takes 0.4 s, for which help need not wait

    return aws


def _login() -> tuple[str, ...]:
    return ("ssh", *_aws().login())


@click.group(invoke_without_command=True)
@click.pass_context
def ec2(ctx: click.Context) -> None:
    """A lab day on AWS: an instance that is found by its tag.

    EC2_KEY names the private key (a Learner Lab's labsuser.pem is found in ~, ~/.ssh and
    ~/Downloads), EC2_NAME another instance (default labstack), EC2_USER another login (default
    ubuntu), AWS_REGION the region.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@ec2.command("credentials")
@click.argument("region", default=block.DEFAULT_REGION)
def take_credentials(region: str) -> None:
    """Take the credentials that a Learner Lab shows.

    Copy the block under AWS Details > AWS CLI: Show, and paste it here. It is kept once AWS takes
    it. REGION is us-east-1 unless you say otherwise; a Learner Lab has us-west-2, too.
    """
    aws = _aws()
    aws.check_region(region)
    text = paste.read() if sys.stdin.isatty() else sys.stdin.read()
    values = block.parse(text)
    path = block.target()
    try:
        click.echo(f"AWS takes them: {aws.who(values, region)}")
    except aws.UnreachableError as error:
        click.echo(f"lab: AWS could not be asked whether they work: {error}", err=True)
    block.keep(values, region, path)
    click.echo(f"Kept in {path}, region {region}. Next: ./lab ec2 up")
    if path == KEPT_CREDENTIALS and environment("ec2").get("AWS_SHARED_CREDENTIALS_FILE") != str(
        path
    ):
        click.echo(
            "lab: AWS_ACCESS_KEY_ID or AWS_PROFILE is set in this shell and takes precedence\n"
            "-> unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE",
            err=True,
        )


@ec2.command(cls=Passing)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
def up(arguments: tuple[str, ...]) -> None:
    """Bring the instance to the whole stack.

    It is launched where there is none, and started where it is stopped. Arguments go to
    ansible-playbook: ./lab ec2 up -e stack_monitoring_user=me. With --check it says what would be
    launched, and what that costs.
    """
    # The stack follows at once: nothing is to be typed next.
    quiet = ("-e", "ec2_instance_next_command=")
    # The instance need not be there yet, so no inventory looks for it.
    call("ansible-playbook", "playbooks/provision.yml", *quiet, *arguments)
    # A dry run launches nothing, so there is no host for the rest.
    if only_told(arguments):
        return
    call("ansible-playbook", "site.yml", *report.by(SSH), *arguments, host="ec2")
    click.echo("To end it: ./lab ec2 down")


@ec2.command(cls=Passing)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
def status(arguments: tuple[str, ...]) -> None:
    """Say what the instance does, and whether the stack works.

    Looks at a running instance with the verification's own checks: arguments go to ansible-playbook
    for playbooks/verify.yml, and -v shows each check. The exit status is 1 where something does
    not work.
    """
    one = _aws().instance()
    running = one.state == "running"
    lasting = f", for {report.since(one.started, datetime.datetime.now(datetime.UTC))}"
    click.echo(f"{one.id}  {one.type}, {one.region}")
    click.echo(
        f"  state          {one.state}{lasting if running else '   (./lab ec2 up starts it)'}"
    )
    if running:
        now = datetime.datetime.now(datetime.UTC)
        click.echo(f"  cost           {cost.so_far(one.type, one.started, now)}")
    if KEPT_CREDENTIALS.exists():
        pasted = datetime.datetime.fromtimestamp(KEPT_CREDENTIALS.stat().st_mtime, datetime.UTC)
        ago = report.since(pasted.isoformat(), datetime.datetime.now(datetime.UTC))
        click.echo(f"  credentials    pasted {ago} ago (a Learner Lab's session lasts 4 h)")
    if running and one.address:
        click.echo(f"  stops itself   {cost.stops_in(_login())}")
        report.tell("ec2", SSH, arguments)


@ec2.command("report", help=evidence.HELP, context_settings=evidence.PASS_ON)
@evidence.options
def evidence_report(language: str, no_run: bool, arguments: tuple[str, ...]) -> None:
    """Writes evidence that the stack works."""
    evidence.write("ec2", SSH, language, no_run, arguments)


@ec2.command(cls=Commanding)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
def ssh(command: tuple[str, ...]) -> None:
    """Open a shell on the instance, or run one command there."""
    become(*_login(), *command)


@ec2.command()
@click.option("--terminate", is_flag=True, help="Remove the instance with everything on its disk.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def down(terminate: bool, yes: bool) -> None:
    """Stop the instance: its data stays, its address goes."""
    question = (
        "Terminate the instance, with everything on its disk? There is no way back."
        if terminate
        else "Stop the instance? Its data stays, its address goes."
    )
    try:
        agreed = yes or click.confirm(question)
    except click.Abort as error:
        raise click.ClickException("nobody answers, so nothing was done\n-> --yes") from error
    if not agreed:
        click.echo("Nothing was done.")
        raise click.exceptions.Exit(1)
    playbook = "playbooks/ec2-terminate.yml" if terminate else "playbooks/ec2-stop.yml"
    become("ansible-playbook", playbook, "-e", "ec2_confirm=yes")


def _launched(variables: Sequence[str]) -> None:
    quiet = ("-e", "ec2_instance_next_command=")
    call("ansible-playbook", "playbooks/provision.yml", *backup.passed(variables), *quiet)


deploying.add_to(ec2, lambda: Host("ec2", "./lab ec2", _login))
shared.add_to(ec2, lambda: Host("ec2", "./lab ec2", _login))
backup.add_verbs(ec2, "ec2", _launched)
