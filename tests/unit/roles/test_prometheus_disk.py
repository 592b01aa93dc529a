"""What prometheus_disk.sh makes of a disk; molecule/prometheus shows it on a real one."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.role_readme import ROLES

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = ROLES / "prometheus/files/prometheus_disk.sh"
MB = 1024**2
RESERVE = 128 * MB
CAP = 2048 * MB


@dataclass
class Disk:
    """A disk of which df and du say what the test wants; what is deleted is free at once.

    Attributes:
        root: where the test may write.
        free: bytes that are free.
        taken: bytes of the samples.
        gone: bytes that are free besides, by the file or directory whose end frees them.
    """

    root: Path
    free: int = 4096 * MB
    taken: int = 0
    gone: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make its directories."""
        for name in ("bin", "data", "run"):
            (self.root / name).mkdir()

    @property
    def reserve(self) -> Path:
        """The reserve."""
        return self.root / "data/reserve"

    def hold(self, name: str, size: int) -> Path:
        """Have a directory of that size on it."""
        path = self.root / "data" / name
        path.mkdir()
        self.gone[path] = size
        return path

    def hold_reserve(self) -> None:
        """Have the reserve on it already."""
        self.reserve.touch()
        self.gone[self.reserve] = RESERVE

    def run(self, verb: str) -> int:
        """Run the script; returns the retention in bytes, 0 where it says none."""
        freed = "".join(f' + $([ -e "{p}" ] && echo 0 || echo {n})' for p, n in self.gone.items())
        texts = {
            "df": f"echo Avail; echo $(({self.free}{freed}))",
            "du": f"printf '{self.taken}\\t%s\\n' /",
            "fallocate": f'test "$1 $2" = "--length {RESERVE}" && : > "$3"',
            "systemctl": f'echo "$*" >> {self.root}/calls',
        }
        for name, text in texts.items():
            program = self.root / "bin" / name
            program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            program.chmod(0o755)
        environment = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "RUNTIME_DIRECTORY": f"{self.root}/run",
        }
        arguments = [str(self.root / "data"), str(RESERVE), str(CAP)]
        subprocess.run(["sh", str(SCRIPT), verb, *arguments], env=environment, check=True)
        said = self.root / "run/retention"
        if not said.exists():
            return 0
        name, _, value = said.read_text(encoding="utf-8").strip().partition("=")
        assert name == "PROMETHEUS_RETENTION_SIZE"
        return int(value.removesuffix("B"))

    @property
    def restarts(self) -> int:
        """How often Prometheus was restarted."""
        calls = self.root / "calls"
        return len(calls.read_text(encoding="utf-8").splitlines()) if calls.exists() else 0


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_on_a_large_disk_the_variable_counts_and_there_is_a_reserve(disk: Disk) -> None:
    disk.free = 100_000 * MB
    assert disk.run("start") == CAP
    assert disk.reserve.exists()


def test_on_a_small_one_half_of_what_is_free_and_taken(disk: Disk) -> None:
    disk.free, disk.taken = 1000 * MB, 600 * MB
    assert disk.run("start") == 800 * MB


def test_on_a_full_one_the_reserve_is_given_up(disk: Disk) -> None:
    disk.hold_reserve()
    disk.free, disk.taken = 0, 600 * MB
    assert disk.run("start") == (600 * MB + RESERVE) // 2
    assert not disk.reserve.exists()


def test_without_a_reserve_the_oldest_samples_are_given_up(disk: Disk) -> None:
    disk.free = 0
    oldest = disk.hold("01JA0000000000000000000000", RESERVE)
    newer = disk.hold("01JB0000000000000000000000", RESERVE)
    log = disk.hold("wal", RESERVE)
    disk.run("start")
    assert [path.exists() for path in (oldest, newer, log)] == [False, True, True]


def test_there_is_always_a_limit(disk: Disk) -> None:
    disk.free, disk.taken = 0, 0
    assert disk.run("start") == RESERVE


def test_the_reserve_is_not_taken_of_a_disk_that_is_almost_full(disk: Disk) -> None:
    disk.free = 2 * RESERVE
    disk.run("start")
    assert not disk.reserve.exists()


@pytest.mark.parametrize(("free", "restarts"), [(RESERVE, 0), (RESERVE - 1, 1)])
def test_prometheus_is_started_anew_when_the_reserve_is_needed(
    disk: Disk, free: int, restarts: int
) -> None:
    disk.hold_reserve()
    disk.run("start")
    disk.free = free
    disk.run("look")
    assert disk.restarts == restarts
    assert disk.reserve.exists(), "the start gives it up"
    disk.run("start")
    disk.run("look")
    assert disk.restarts == restarts, "once"


def test_without_a_reserve_a_restart_would_not_help(disk: Disk) -> None:
    disk.run("start")
    assert disk.reserve.exists()
    disk.free = 0
    disk.run("start")
    assert not disk.reserve.exists()
    disk.run("look")
    assert disk.restarts == 0
