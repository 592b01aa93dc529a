"""What the report makes of what was seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evidence.document import last_run, programs, verdicts

COUNTS = {"ok": 22, "changed": 0, "failed": 0, "unreachable": 0, "skipped": 9}


def run(folder: Path, name: str, **words: Any) -> None:
    record = {
        "playbook": "site",
        "began": "2026-11-30T20:00:00+00:00",
        "seconds": 15.0,
        "check": False,
        "limits": [],
        "hosts": {"ec2": COUNTS},
    }
    (folder / f"{name}.json").write_text(json.dumps(record | words), encoding="utf-8")


def test_the_newest_whole_run_counts(tmp_path: Path) -> None:
    changed = {"ec2": COUNTS | {"changed": 30}}
    run(tmp_path, "20261130-200000-site-1", hosts=changed)
    run(tmp_path, "20261130-200100-site-2", seconds=14.0)
    run(tmp_path, "20261130-200200-site-3", check=True, hosts=changed)
    run(tmp_path, "20261130-200300-site-4", limits=["prometheus"], hosts=changed)
    run(tmp_path, "20261130-200400-site-5", hosts={"another": COUNTS})
    run(tmp_path, "20261130-200500-verify-6", hosts=changed)
    (tmp_path / "20261130-200600-site-7.json").write_text("{")
    found = last_run(tmp_path, "ec2")
    assert found
    assert (found["seconds"], found["changed"], found["holds"]) == (14.0, 0, True)


@pytest.mark.parametrize("count", ["changed", "failed", "unreachable"])
def test_a_run_that_did_something_does_not_hold(count: str, tmp_path: Path) -> None:
    run(tmp_path, "20261130-200000-site-1", hosts={"ec2": COUNTS | {count: 1}})
    found = last_run(tmp_path, "ec2")
    assert found
    assert not found["holds"]


def test_without_a_run_there_is_none(tmp_path: Path) -> None:
    assert last_run(tmp_path / "nowhere", "ec2") is None


@pytest.mark.parametrize(
    ("version", "holds"), [("1.2", True), ("1.2+ds1", True), ("1.1", False), ("", None)]
)
def test_a_program_is_compared_with_its_pin(version: str, holds: bool | None) -> None:
    pins = {"prometheus": {"version": "1.2", "checksums": {"amd64": "a", "arm64": "b"}}}
    files = {"/usr/local/bin/prometheus": "c"}
    (found,) = programs(pins, "aarch64", {"prometheus": version}, files)
    assert (found["release_sha256"], found["file_sha256"]) == ("b", "c")
    assert found["holds"] is holds


def test_the_recorded_report_holds(document: dict[str, Any]) -> None:
    assert verdicts(document) == document["summary"]
    assert [point["point"] for point in document["summary"] if point["holds"] is not True] == []


@pytest.mark.parametrize(
    ("part", "key", "value", "point"),
    [
        ("checks", "passed", False, "checks"),
        ("targets", "health", "down", "targets"),
        ("alerts", "state", "firing", "alerts"),
        ("containers", "holds", "false", "containers"),
        ("units", "holds", False, "units"),
        ("ports", "holds", False, "ports"),
        ("programs", "holds", False, "programs"),
    ],
)
def test_what_does_not_hold_is_told(
    part: str, key: str, value: Any, point: str, document: dict[str, Any]
) -> None:
    row = next(row for row in document[part] if not row.get("expected"))
    row[key] = value
    assert [p["point"] for p in verdicts(document) if p["holds"] is False] == [point]


def test_what_nobody_looked_at_is_neither(document: dict[str, Any]) -> None:
    parts = ("checks", "targets", "alerts", "containers", "units", "ports", "programs")
    nothing: dict[str, Any] = {part: [] for part in parts}
    assert {p["holds"] for p in verdicts(document | nothing | {"run": None})} == {None}
