"""What `./lab ec2 status` says of money and of the automatic stop."""

from __future__ import annotations

import datetime
import subprocess
from typing import TYPE_CHECKING

import pytest

from cli import cost

if TYPE_CHECKING:
    from pathlib import Path

START = "2026-11-30T08:00:00+00:00"
NOON = datetime.datetime(2026, 11, 30, 12, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        # The prices of the role: 0.0116 and 0.0928 for the machine, 0.005 for its address.
        ("t2.micro", "about 0.07 USD since then (0.0166 an hour, list price)"),
        ("t2.large", "about 0.39 USD since then (0.0978 an hour, list price)"),
        ("m5.large", "see https://aws.amazon.com/ec2/pricing/on-demand/ for m5.large"),
    ],
)
def test_cost_so_far(kind: str, told: str) -> None:
    assert cost.so_far(kind, START, NOON) == told


def test_a_clock_that_is_behind_costs_nothing() -> None:
    assert "about 0.00 USD" in cost.so_far("t2.micro", START, NOON.replace(hour=7))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4h 12.5s", 14412.5), ("1d 2h 3min", 93780), ("500ms", 0.5), ("infinity", 0), ("", 0)],
)
def test_a_span_of_systemd(text: str, seconds: float) -> None:
    assert cost.span(text) == seconds


@pytest.fixture
def host(tmp_path: Path) -> tuple[Path, tuple[str, ...]]:
    """A file for what the host says, and the command that stands for ssh."""
    said = tmp_path / "said"
    return said, ("sh", "-c", f"sh {said}; exit $?", "ssh")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 3600.25 7200.00; echo 1h 30min", "in 0 h 29 min (./lab ec2 up begins the count"),
        ("echo 10.0 1.0; echo 4h 10s", "in 4 h 0 min"),
        ("exit 3", "never; in group_vars/all/stack.yml: ec2_instance_stop_after: 4"),
        ("exit 255", "(the host does not answer)"),
    ],
)
def test_when_it_stops(host: tuple[Path, tuple[str, ...]], script: str, told: str) -> None:
    said, ssh = host
    said.write_text(f"{script}\n")
    assert cost.stops_in(ssh).startswith(told)


def test_the_question_is_one_that_a_shell_takes() -> None:
    assert subprocess.run(["sh", "-n", "-c", cost._ASK], check=False).returncode == 0
