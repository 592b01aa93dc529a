"""What a host is, and what the verification says about it."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from dataclasses import dataclass
from typing import Any

import click

from cli.running import ROOT, environment

# The verification waits for what has just started; whoever asks for the status wants it now.
_VERIFY = ("ansible-playbook", "playbooks/verify.yml", "-e", "verify_timeout=0")


@dataclass(frozen=True)
class Verdict:
    """What the verification found.

    Attributes:
        passed: how many checks passed; 0 where there is a problem.
        problems: one text for each host with a problem, or for what kept it from looking.
    """

    passed: int
    problems: list[str]


def since(started: str, now: datetime.datetime) -> str:
    """Returns the time from a start (ISO 8601) to now: "2 d 3 h", "3 h 5 min", "5 min"."""
    minutes = max(0, int((now - datetime.datetime.fromisoformat(started)).total_seconds() // 60))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def links(address: str, ssh: str) -> list[str]:
    """Returns the lines that lead to the stack's pages.

    Args:
        address: the host's.
        ssh: the command that opens a shell there, to which another command can be added.
    """
    return [
        f"  web page       http://{address}/   https://{address}/",
        f"  Grafana        http://{address}:3000/   (admin)",
        f"  Prometheus     http://{address}:9090/   (monitor)",
        f"  Node Exporter  http://{address}:9100/   (monitor)",
        "  passwords",
        f"    {ssh} sudo grep -r . /etc/labstack/secrets",
    ]


def tell_up(address: str, ssh: str, down: str) -> None:
    """Says where the stack is that has just been brought up, and verified."""
    click.echo("\n".join(["", "The stack is up:", *links(address, ssh)]))
    if down:
        click.echo(f"  end            {down}")


def read(document: dict[str, Any]) -> Verdict:
    """Returns the verdict of a run of the verification, from what Ansible's JSON callback says."""
    passed = 0
    said: dict[str, str] = {}
    for play in document["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                if result.get("failed") or result.get("unreachable"):
                    said[host] = str(result.get("msg") or task["task"]["name"])
                passed += len(result.get("checks") or [])
    wrong = [
        host for host, row in document["stats"].items() if row["failures"] or row["unreachable"]
    ]
    if wrong:
        return Verdict(0, [said.get(host, f"{host} failed") for host in wrong])
    if not passed:
        return Verdict(0, ["The verification had no host to look at."])
    return Verdict(passed, [])


def verify(host: str, arguments: tuple[str, ...]) -> Verdict:
    """Looks at a host with the verification's own checks, as site.yml does at its end."""
    click.echo("lab: looking at it as a user would ...", err=True)
    done = subprocess.run(
        [*_VERIFY, *arguments],
        cwd=ROOT,
        env=environment(host) | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True,
        text=True,
        check=False,
    )
    # Plugins may have said something before.
    document = re.search(r"^\{$.*", done.stdout, re.MULTILINE | re.DOTALL)
    try:
        return read(json.loads(document[0] if document else ""))
    except ValueError:
        # It came to no play: the inventory or the playbook could not be read.
        return Verdict(0, [(done.stderr or done.stdout).strip()])


def tell(host: str, arguments: tuple[str, ...]) -> None:
    """Prints the verdict on a host. Raises Exit with status 1 where there is a problem."""
    verdict = verify(host, arguments)
    if verdict.problems:
        click.echo("\nProblems:\n" + "\n".join(verdict.problems))
        raise click.exceptions.Exit(1)
    click.echo(f"  verified       {verdict.passed} checks passed")
