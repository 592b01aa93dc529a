"""The verbs that bring a release to a host and back: the same for each kind of host."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import click

from cli.running import ROOT, call, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.hosts import Host

BUNDLED = "webapp"


def table(output: str) -> str:
    """Returns what playbooks/releases.yml shows, from what Ansible's JSON callback says.

    Raises:
        ClickException: it shows nothing; the message has what went wrong.
    """
    document = re.search(r"^\{$.*", output, re.MULTILINE | re.DOTALL)
    try:
        plays = json.loads(document[0] if document else "")["plays"]
    except ValueError as error:
        raise click.ClickException(output.strip() or "Ansible said nothing") from error
    tables, problems = {}, []
    for play in plays:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                if result.get("failed") or result.get("unreachable"):
                    problems.append(f"{host}: {result.get('msg')}")
                elif "table" in result:
                    tables[host] = result["table"]
    if problems or not tables:
        raise click.ClickException("\n".join(problems) or "there is no host to look at")
    if len(tables) == 1:
        return str(next(iter(tables.values())))
    return "\n\n".join(f"{host}\n{text}" for host, text in tables.items())


def add_to(group: click.Group, host: Callable[[], Host]) -> None:
    """Gives a host's group of verbs those of a release."""

    @group.command()
    @click.option("--app", default=BUNDLED, help="The application (default: webapp).")
    @click.option("--version", help="A branch, tag or commit instead of what stands here now.")
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARG...]")
    def deploy(app: str, version: str | None, arguments: tuple[str, ...]) -> None:
        """Bring the application to the host.

        The host has the stack already (up). People's requests are answered all the while. A
        release that does not become healthy, or fails its checks, leaves the one before serving.
        Arguments after -- go to ansible-playbook.
        """
        given = ["-e", f"deploy_application={app}"]
        if version:
            given += ["-e", f"deploy_version={version}", "-e", f"webapp_version={version}"]
        call("ansible-playbook", "playbooks/deploy.yml", *given, *arguments, host=host().name)

    @group.command()
    @click.option("--app", default=BUNDLED, help="The application (default: webapp).")
    @click.argument("release", required=False)
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARG...]")
    def rollback(app: str, release: str | None, arguments: tuple[str, ...]) -> None:
        """Go back to an earlier release.

        To the one that served before, or to RELEASE: one that the host still has (./lab releases),
        with its images. Nothing is built or fetched, and the tables stay as they are.
        """
        if release and release.startswith("-"):
            # It stood behind --, with no RELEASE before it.
            arguments, release = (release, *arguments), None
        given = ["-e", f"deploy_application={app}"]
        if release:
            given += ["-e", f"rollback_release={release}"]
        call("ansible-playbook", "playbooks/rollback.yml", *given, *arguments, host=host().name)

    @group.command()
    @click.option("--app", default=BUNDLED, help="The application (default: webapp).")
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARG...]")
    def releases(app: str, arguments: tuple[str, ...]) -> None:
        """Show who deployed what and when.

        And which releases the host keeps, for rollback.
        """
        done = subprocess.run(
            [
                "ansible-playbook", "playbooks/releases.yml",
                "-e", f"deploy_application={app}", *arguments,
            ],
            cwd=ROOT,
            env=environment(host().name) | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        click.echo(table(done.stdout or done.stderr))
