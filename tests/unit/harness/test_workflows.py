"""The pipelines: their steps' scripts are sound, and those of deploy.yml do what they say."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


SCRIPTS = [
    pytest.param(step["run"], id=f"{path.stem}-{step['name']}")
    for path in WORKFLOWS
    for step in steps(path)
    if "run" in step
]


def named_scripts(workflow: str) -> dict[str, str]:
    path = ROOT / ".github" / "workflows" / workflow
    return {step["name"]: step["run"] for step in steps(path) if "run" in step}


DEPLOY = named_scripts("deploy.yml")
RELEASE = named_scripts("release.yml")
ACTIONS = [step["uses"] for path in WORKFLOWS for step in steps(path) if "uses" in step]


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_has_no_finding(script: str) -> None:
    done = subprocess.run(
        ["shellcheck", "--shell=bash", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("action", sorted(set(ACTIONS)))
def test_an_action_is_pinned_by_its_commit(action: str) -> None:
    """A tag can be moved to other code."""
    assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_input_is_read_as_a_command(script: str) -> None:
    assert "${{" not in script


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_parts_exist(script: str) -> None:
    """Each part of `./lab test` that a pipeline names is one that tests/run knows."""
    known = (ROOT / "tests" / "run").read_text()
    for parts in re.findall(r"\./lab test (.+)", script):
        for part in parts.split():
            assert re.search(rf"^ +(?:\w+ \| )*{part}(?: \| \w+)*\)", known, re.MULTILINE), part


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose ./lab writes down how it is called."""
    lab = tmp_path / "lab"
    lab.write_text('#!/bin/sh\necho "EC2_IP=${EC2_IP:-} $*" >called\n')
    lab.chmod(0o755)
    return tmp_path


def run_step(
    name: str, checkout: Path, scripts: dict[str, str] = DEPLOY, /, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a step as a runner does: bash, ending at the first failure."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "RUNNER_TEMP": str(checkout),
        "GITHUB_ENV": str(checkout / "env"),
        **variables,
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", scripts[name]],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_key_is_only_the_jobs_own(checkout: Path) -> None:
    name = "Put the keys where only this job reads them"
    done = run_step(name, checkout, SSH_KEY="-----BEGIN-----\nx", KNOWN_HOSTS="", VAULT_PASSWORD="")
    assert done.returncode == 0, done.stderr
    assert "::warning::The secret EC2_KNOWN_HOSTS is empty" in done.stdout
    key = checkout / "key.pem"
    assert key.read_text() == "-----BEGIN-----\nx\n"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (checkout / "env").read_text() == f"EC2_KEY={key}\n"
    assert run_step("Remove the keys", checkout).returncode == 0
    assert not key.exists()


def test_the_host_is_known_before_the_first_login(checkout: Path) -> None:
    name = "Put the keys where only this job reads them"
    line = "i-0123456789abcdef0 ssh-ed25519 AAAA"
    secrets = {"SSH_KEY": "x", "KNOWN_HOSTS": line, "VAULT_PASSWORD": ""}
    done = run_step(name, checkout, HOME=str(checkout), **secrets)
    assert done.returncode == 0, done.stderr
    for file in (".lab/ec2_known_hosts", ".ssh/known_hosts"):
        assert (checkout / file).read_text() == f"{line}\n"


def test_a_missing_key_is_named(checkout: Path) -> None:
    name = "Put the keys where only this job reads them"
    done = run_step(name, checkout, SSH_KEY="", KNOWN_HOSTS="", VAULT_PASSWORD="")
    assert done.returncode == 1
    assert "EC2_SSH_KEY" in done.stdout


@pytest.mark.parametrize(
    ("variables", "called"),
    [
        (
            {"ADDRESS": "203.0.113.7", "CHECK": "false"},
            "EC2_IP=203.0.113.7 run ansible-playbook site.yml",
        ),
        (
            {"ADDRESS": "203.0.113.7", "CHECK": "true"},
            "EC2_IP=203.0.113.7 run ansible-playbook site.yml --check --diff",
        ),
        (
            {"ADDRESS": "", "CHECK": "false"},
            "EC2_IP= run ansible-playbook -i inventory/aws_ec2.yml site.yml",
        ),
    ],
)
def test_the_host_is_found_by_address_or_tag(
    checkout: Path, variables: dict[str, str], called: str
) -> None:
    done = run_step("Bring the host to the stack", checkout, **variables)
    assert done.returncode == 0, done.stderr
    assert (checkout / "called").read_text().strip() == called


GALAXY = "namespace: labstack\nname: stack\nversion: 0.2.0\n"
CHANGES = """# Changelog

## Unreleased

## 0.2.0 - 2026-12-01

- A new thing.

## 0.1.0 - 2026-11-01

- An old thing.
"""


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("v0.2.0", ""),
        ("v0.3.0", "::error file=galaxy.yml::"),
        ("v0.2", "::error file=galaxy.yml::"),
        ("v0.2.0.1", "::error file=galaxy.yml::"),
    ],
)
def test_a_release_has_the_collections_version(checkout: Path, tag: str, said: str) -> None:
    (checkout / "galaxy.yml").write_text(GALAXY)
    (checkout / "CHANGELOG.md").write_text(CHANGES)
    name = "Compare the tag with the collection and the changes"
    done = run_step(name, checkout, RELEASE, GITHUB_REF_NAME=tag)
    assert (done.returncode == 0) == (said == ""), done.stderr
    assert said in done.stdout
    if not said:
        assert (checkout / "notes.md").read_text().strip() == "- A new thing."


def test_a_release_without_its_changes_is_refused(checkout: Path) -> None:
    (checkout / "galaxy.yml").write_text(GALAXY)
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- A new thing.\n")
    name = "Compare the tag with the collection and the changes"
    done = run_step(name, checkout, RELEASE, GITHUB_REF_NAME="v0.2.0")
    assert done.returncode == 1
    assert "## 0.2.0" in done.stdout


def test_a_release_carries_the_tarball(checkout: Path) -> None:
    command = checkout / "gh"
    command.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >called\n')
    command.chmod(0o755)
    (checkout / "collection").mkdir()
    (checkout / "collection" / "labstack-stack-0.2.0.tar.gz").touch()
    path = f"{checkout}:/usr/bin:/bin"
    done = run_step("Publish the release", checkout, RELEASE, GITHUB_REF_NAME="v0.2.0", PATH=path)
    assert done.returncode == 0, done.stderr
    called = (checkout / "called").read_text().splitlines()
    assert called[:3] == ["release", "create", "v0.2.0"]
    assert called[-1] == f"{checkout}/collection/labstack-stack-0.2.0.tar.gz"
