"""The verbs deploy, releases and rollback: what they run, and what they show."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import click
import pytest
from click.testing import CliRunner, Result

from cli import __main__ as root
from cli import deploying


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """The programs that were run, with their inventories; none of them really is."""
    seen: list[tuple[list[str], str]] = []

    def popen(command: tuple[str, ...], **options: Any) -> mock.Mock:
        seen.append((list(command), options["env"]["ANSIBLE_INVENTORY"]))
        return mock.Mock(wait=lambda: 0)

    monkeypatch.setattr("subprocess.Popen", popen)
    return seen


def type_(line: str) -> Result:
    return CliRunner().invoke(root.cli, line.split(), prog_name="./lab")


def test_a_version_reaches_the_playbook(runs: list[tuple[list[str], str]]) -> None:
    assert type_("deploy --app shop --version v1.4 -- --check").exit_code == 0
    command, inventory = runs[0]
    assert command[:2] == ["ansible-playbook", "playbooks/deploy.yml"]
    assert "deploy_application=shop" in command
    assert "deploy_version=v1.4" in command
    assert command[-1] == "--check"
    assert inventory == "inventory/lab"


@pytest.mark.parametrize(
    ("line", "inventory"),
    [
        ("ec2 rollback 0123456789ab", "inventory/aws_ec2.yml"),
        ("--host ec2 rollback 0123456789ab", "inventory/aws_ec2.yml"),
        ("--host 203.0.113.7 rollback 0123456789ab", "inventory/ec2.yml"),
    ],
)
def test_a_rollback_is_of_the_host_that_is_named(
    runs: list[tuple[list[str], str]], line: str, inventory: str
) -> None:
    assert type_(line).exit_code == 0
    assert runs == [
        (
            [
                "ansible-playbook", "playbooks/rollback.yml",
                "-e", "deploy_application=webapp", "-e", "rollback_release=0123456789ab",
            ],
            inventory,
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("rollback --app shop", []),
        ("rollback --app shop -- -e @apps.yml", ["-e", "@apps.yml"]),
        (
            "rollback --app shop 0123456789ab -- --check",
            ["-e", "rollback_release=0123456789ab", "--check"],
        ),
    ],
)
def test_a_rollback_is_of_the_application_that_is_named(
    runs: list[tuple[list[str], str]], line: str, given: list[str]
) -> None:
    assert type_(line).exit_code == 0
    command, _ = runs[0]
    assert command[:4] == [
        "ansible-playbook", "playbooks/rollback.yml", "-e", "deploy_application=shop",
    ]  # fmt: skip
    assert command[4:] == given


def test_the_releases_are_of_the_application_that_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = mock.Mock(return_value=mock.Mock(stdout=answer(ec2={"table": "when  who"})))
    monkeypatch.setattr("subprocess.run", done)
    assert type_("releases --app shop -- -e @apps.yml").output == "when  who\n"
    command = done.call_args.args[0]
    assert command[1:] == [
        "playbooks/releases.yml", "-e", "deploy_application=shop", "-e", "@apps.yml",
    ]  # fmt: skip


def answer(**results: dict[str, Any]) -> str:
    return "a warning\n" + json.dumps({"plays": [{"tasks": [{"hosts": results}]}]}, indent=4)


def test_the_table_is_shown_as_it_is() -> None:
    assert deploying.table(answer(ec2={"table": "when  who"})) == "when  who"
    two = deploying.table(answer(a={"table": "x"}, b={"table": "y"}))
    assert two == "a\nx\n\nb\ny"


@pytest.mark.parametrize(
    ("output", "word"),
    [
        (answer(ec2={"unreachable": True, "msg": "no route"}), "ec2: no route"),
        (answer(), "no host"),
        ("the inventory is not right", "the inventory is not right"),
    ],
)
def test_what_kept_it_from_looking_is_told(output: str, word: str) -> None:
    with pytest.raises(click.ClickException, match=word):
        deploying.table(output)
