"""What is wrong is refused with words that help, and what ran before still runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab import Lab, Run


def verified(lab: Lab) -> Run:
    return lab.play(playbook="playbooks/verify.yml")


@pytest.fixture(scope="module", autouse=True)
def _converged(lab: Lab) -> Iterator[None]:
    """The stack serves before, and after all that was refused."""
    if verified(lab).status != 0:
        run = lab.play()
        assert run.status == 0, run.output[-4000:]
    yield
    run = verified(lab)
    assert run.status == 0, run.output[-4000:]


@pytest.fixture(autouse=True)
def _still_runs(lab: Lab) -> Iterator[None]:
    """Whatever a test does, the processes are the same before and after it."""

    def processes() -> list[str]:
        shown = "systemctl show --property=MainPID,ActiveState prometheus node_exporter"
        return lab.ssh(shown).stdout.split()

    before = processes()
    yield
    assert processes() == before


def test_a_release_that_is_not_what_was_pinned(lab: Lab) -> None:
    """The right address, another content: nothing is replaced."""
    before = lab.ssh("sha256sum /usr/local/bin/node_exporter").stdout
    url = (
        "node_exporter_url={{ stack_release_base_url }}/prometheus/prometheus/releases/download/"
        "v{{ prometheus_version }}/prometheus-{{ prometheus_version }}.linux-"
        "{{ ansible_facts.architecture | labstack.stack.goarch }}.tar.gz"
    )
    run = lab.play("--tags", "node_exporter", "-e", "node_exporter_version=9.9.9", "-e", url)
    assert run.status != 0
    assert "node_exporter_checksums" in run.output
    assert "versions.yml" in run.output
    assert lab.ssh("sha256sum /usr/local/bin/node_exporter").stdout == before


def test_an_unreachable_mirror(lab: Lab) -> None:
    run = lab.play(
        *("--tags", "prometheus", "-e", "prometheus_version=9.9.9"),
        *("-e", "stack_release_base_url=http://127.0.0.1:9"),
    )
    assert run.status != 0
    assert "127.0.0.1:9" in run.output


def test_broken_rules_in_a_variable(lab: Lab) -> None:
    groups = [{"name": "x", "rules": [{"alert": "X", "expr": "rate("}]}]
    variables = json.dumps({"prometheus_extra_rule_groups": groups})
    run = lab.play("--tags", "prometheus", "-e", variables)
    assert run.status != 0
    assert "extra_rule_groups.yml" in run.output
    assert "parse error" in run.output


def test_a_memory_limit_that_is_none(lab: Lab) -> None:
    run = lab.play("--tags", "prometheus", "-e", "prometheus_memory_max=plenty")
    assert run.status != 0
    assert "plenty" in run.output
