"""`python -m ec2`: what `./lab ec2` does besides playbooks."""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import sys
from pathlib import Path

from ec2 import credentials, status

ROOT = Path(__file__).resolve().parent.parent
# Where the checkout stands as the collection labstack.stack.
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.labstack.stack.plugins.module_utils.ec2_lab import (  # noqa: E402 - found by the line above
    DEFAULT_NAME,
    TAG,
    Account,
    AwsError,
    Instance,
    connection,
)


def _instance() -> Instance:
    name = os.environ.get("EC2_NAME") or DEFAULT_NAME
    account = Account()
    instance = account.instance(name)
    if instance is None:
        raise AwsError(
            f"No instance in {account.region} carries the tag {TAG}={name}.\n"
            "-> ./lab ec2 up    # launches one"
        )
    return instance


def _credentials(arguments: argparse.Namespace) -> None:
    if sys.stdin.isatty():
        print("Paste the block (it begins with [default]), then Enter on an empty line:")
    values = credentials.parse(sys.stdin, stop=sys.stdin.isatty())
    path = credentials.target()
    credentials.keep(values, arguments.region, path)
    print(f"Kept in {path}, region {arguments.region}. Next: ./lab ec2 up")


def _status(_: argparse.Namespace) -> None:
    print("\n".join(status.lines(_instance(), datetime.datetime.now(datetime.UTC))))


def _ssh(arguments: argparse.Namespace) -> None:
    instance = _instance()
    if not instance.address:
        raise AwsError(f"The instance {instance.id} is {instance.state}.\n-> ./lab ec2 up")
    way = connection(instance, str(ROOT / ".lab" / "ec2_known_hosts"))
    command = ["ssh", *shlex.split(way["ansible_ssh_common_args"])]
    command += ["-o", "StrictHostKeyChecking=accept-new"]
    if "ansible_ssh_private_key_file" in way:
        command += ["-i", way["ansible_ssh_private_key_file"]]
    command += ["-l", way["ansible_user"], way["ansible_host"], *arguments.command]
    sys.stdout.flush()
    os.execvp("ssh", command)  # noqa: S606 - the login takes the place of this program


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lab ec2")
    commands = parser.add_subparsers(required=True)
    paste = commands.add_parser("credentials", help="keep the block that a Learner Lab shows")
    paste.add_argument("region", nargs="?", default=credentials.DEFAULT_REGION)
    paste.set_defaults(run=_credentials)
    commands.add_parser("status", help="state, address, what answers").set_defaults(run=_status)
    login = commands.add_parser("ssh", help="a shell on the instance, or one command")
    login.add_argument("command", nargs=argparse.REMAINDER)
    login.set_defaults(run=_ssh)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (AwsError, credentials.PasteError, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
