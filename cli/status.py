"""What a host is, and what the verification says about it."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import click

from cli.running import ROOT, environment
from cli.waiting import waiting

# The verification waits for services that have just started; a status is wanted now.
_VERIFY = ("ansible-playbook", "playbooks/verify.yml", "-e", "verify_timeout=0")


@dataclass(frozen=True)
class Verdict:
    """What the verification found.

    Attributes:
        summaries: what it says of each host; none where there is a problem.
        problems: one text for each host with a problem, or for what kept it from looking.
        checks: with -v, a line for each check of what was seen.
    """

    summaries: list[str]
    problems: list[str]
    checks: tuple[str, ...] = ()


def since(started: str, now: datetime.datetime) -> str:
    """Returns the time from a start (ISO 8601) to now: "2 d 3 h", "3 h 5 min", "5 min"."""
    minutes = max(0, int((now - datetime.datetime.fromisoformat(started)).total_seconds() // 60))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def by(ssh: str) -> tuple[str, str]:
    """Returns the arguments of ansible-playbook by which its messages name our own verb.

    Args:
        ssh: the command that opens a shell on the host, to which another command can be added.
    """
    return ("-e", json.dumps({"verify_ssh_command": ssh}))


def read(document: dict[str, Any]) -> Verdict:
    """Returns the verdict of a run of the verification, from what Ansible's JSON callback says."""
    said: dict[str, str] = {}
    for play in document["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                if result.get("failed") or result.get("unreachable"):
                    said[host] = str(result.get("msg") or task["task"]["name"])
    wrong = [
        host for host, row in document["stats"].items() if row["failures"] or row["unreachable"]
    ]
    if wrong:
        return Verdict([], [said.get(host, f"{host} failed") for host in wrong])
    summaries = [told["summary"] for told in document.get("custom_stats", {}).values()]
    if not summaries:
        return Verdict([], ["The verification had no host to look at."])
    return Verdict(summaries, [])


def verify(host: str, ssh: str, arguments: tuple[str, ...]) -> Verdict:
    """Looks at a host with the verification's own checks, as site.yml does at its end."""
    with waiting("lab: looking at it as a user would", sys.stderr):
        done = subprocess.run(
            [*_VERIFY, *by(ssh), *arguments],
            cwd=ROOT,
            env=environment(host) | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
            capture_output=True,
            text=True,
            check=False,
        )
    # Plugins may have said something before.
    document = re.search(r"^\{$.*", done.stdout, re.MULTILINE | re.DOTALL)
    try:
        verdict = read(json.loads(document[0] if document else ""))
    except ValueError:
        # It came to no play: the inventory or the playbook could not be read.
        return Verdict([], [(done.stderr or done.stdout).strip()])
    said = done.stdout[: document.start()] if document else ""
    return replace(verdict, checks=tuple(re.findall(r"^(?:ok|FAILED): .+", said, re.MULTILINE)))


def tell(host: str, ssh: str, arguments: tuple[str, ...]) -> None:
    """Prints the verdict on a host. Raises Exit with status 1 where there is a problem.

    Args:
        host: as `environment` takes it.
        ssh: as `by` takes it.
        arguments: more arguments of ansible-playbook.
    """
    verdict = verify(host, ssh, arguments)
    if verdict.problems:
        click.echo("\nProblems:\n" + "\n".join(verdict.problems))
        raise click.exceptions.Exit(1)
    click.echo("\n".join([*verdict.checks, *verdict.summaries]))
