"""How the verbs run other programs, and the environment that they give them."""

from __future__ import annotations

import filecmp
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import click

from cli.waiting import waiting

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".lab"
KEPT_CREDENTIALS = STATE / "aws_credentials"
_OWN_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE")


def environment(host: str | None) -> dict[str, str]:
    """Returns the environment for programs that speak to a host.

    Args:
        host: "lab", "ec2", or an address; None leaves the inventory to the caller.
    """
    merged = dict(os.environ)
    if host == "lab":
        merged["ANSIBLE_INVENTORY"] = "inventory/lab"
    elif host == "ec2":
        merged["ANSIBLE_INVENTORY"] = "inventory/aws_ec2.yml"
    elif host:
        merged |= {"ANSIBLE_INVENTORY": "inventory/ec2.yml", "EC2_IP": host}
    # What `./lab ec2 credentials` has kept counts where the environment names no others.
    if not any(merged.get(name) for name in _OWN_CREDENTIALS) and KEPT_CREDENTIALS.exists():
        merged["AWS_SHARED_CREDENTIALS_FILE"] = str(KEPT_CREDENTIALS)
    return merged


def call(*command: str, host: str | None = None) -> None:
    """Runs a program to its end; where it fails, so do we, with its status."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment(host))
    # Ctrl-C reaches the program too, which says what it leaves; we wait for that.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if status != 0:
        # Shells report a program that a signal ended in this way.
        raise click.exceptions.Exit(status if status > 0 else 128 - status)


def become(*command: str, host: str | None = None) -> NoReturn:
    """Lets a program take the place of this one. Raises ClickException where it is missing."""
    os.chdir(ROOT)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environment(host))  # noqa: S606 - no shell, on purpose
    except OSError as error:
        raise click.ClickException(f"{command[0]}: {error.strerror}") from error


def ask(*command: str, host: str | None = None) -> str:
    """Returns what a program prints; where it fails, so do we, with its status."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment(host), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise click.exceptions.Exit(done.returncode)
    return done.stdout


def testbed(*arguments: str) -> tuple[str, ...]:
    """Returns the command line of the testbed."""
    return (sys.executable, "-m", "testbed", *arguments)


def only_told(arguments: tuple[str, ...]) -> bool:
    """Whether the arguments of ansible-playbook ask for a dry run."""
    return any(argument in ("--check", "-C") for argument in arguments)


def need_test_tools() -> None:
    """Brings the environment to requirements/test.txt, which has Molecule and the linters, too."""
    _need("test", "the tests' tools")


def need_report_tools() -> None:
    """Brings the environment to requirements/report.txt, which has what draws and prints, too."""
    _need("report", "the report's tools")


def _need(name: str, what: str) -> None:
    wanted, stamp = ROOT / "requirements" / f"{name}.txt", Path(sys.prefix) / f".installed-{name}"
    if stamp.exists() and filecmp.cmp(wanted, stamp, shallow=False):
        return
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    with waiting(f"lab: installing {what} into .venv (requirements/{name}.txt)", sys.stderr):
        call(*pip, "--require-hashes", "-r", str(wanted))
    shutil.copyfile(wanted, stamp)
