"""The program of the role container_metrics: control groups v1 and v2, and an engine's notes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.role_readme import ROLES
from tests.unit.roles.rendering import parse_unit, render

PROGRAM = ROLES / "container_metrics" / "files" / "container_metrics.py"
IDENTIFIER = "a" * 64
MIB = 1024 * 1024


def load() -> ModuleType:
    specification = importlib.util.spec_from_file_location("container_metrics", PROGRAM)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


program = load()


def write(directory: Path, **files: str) -> None:
    """Write files; two underlines in a name stand for a dot."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_text(content + "\n")


def note(docker: Path, identifier: str = IDENTIFIER, **changes: Any) -> None:
    """Write an engine's note of a running container."""
    state = {"Running": True, "StartedAt": "2026-11-24T07:49:21.764500745Z", **changes}
    directory = docker / "containers" / identifier
    directory.mkdir(parents=True)
    notes = {
        "Name": changes.get("Name", "/webapp-mysql-1"),
        "Config": {"Image": "labstack/mysql:1"},
        "State": state,
        "RestartCount": 2,
    }
    (directory / "config.v2.json").write_text(json.dumps(notes))


def version_1(root: Path, limit: int = 320 * MIB) -> None:
    inside = f"docker/{IDENTIFIER}"
    write(
        root / "memory" / inside,
        memory__usage_in_bytes=str(200 * MIB),
        memory__limit_in_bytes=str(limit),
        memory__stat=f"cache 5\ntotal_rss {150 * MIB}\ntotal_inactive_file {20 * MIB}",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 3",
    )
    write(root / "cpuacct" / inside, cpuacct__usage="12500000000")
    write(root / "pids" / inside, pids__current="7")


def version_2(root: Path, limit: str = str(320 * MIB)) -> None:
    write(root, cgroup__controllers="cpu memory pids")
    write(
        root / "system.slice" / f"docker-{IDENTIFIER}.scope",
        memory__current=str(200 * MIB),
        memory__max=limit,
        memory__stat=f"anon {150 * MIB}\ninactive_file {20 * MIB}",
        memory__events="low 0\noom 1\noom_kill 3",
        cpu__stat="usage_usec 12500000\nuser_usec 1",
        pids__current="7",
    )


@pytest.mark.parametrize("hierarchy", [version_1, version_2])
def test_both_versions_of_control_groups_say_the_same(hierarchy: Any, tmp_path: Path) -> None:
    hierarchy(tmp_path / "cgroup")
    note(tmp_path / "docker")
    metrics = program.collect(tmp_path / "docker", tmp_path / "cgroup", 1000.5)
    labels = 'name="webapp-mysql-1",image="labstack/mysql:1"'
    assert {name: values[labels] for name, values in metrics.items()} == {
        "container_last_seen": 1000.5,
        "container_start_time_seconds": 1795506561.7645,
        "container_cpu_usage_seconds_total": 12.5,
        "container_memory_usage_bytes": 200 * MIB,
        "container_memory_working_set_bytes": 180 * MIB,
        "container_memory_rss": 150 * MIB,
        "container_spec_memory_limit_bytes": 320 * MIB,
        "container_oom_events_total": 3,
        "container_processes": 7,
        "container_engine_restarts_total": 2,
    }


@pytest.mark.parametrize(
    ("hierarchy", "limit"), [(version_1, 0x7FFFFFFFFFFFF000), (version_2, "max")]
)
def test_no_limit_is_zero_as_with_cadvisor(hierarchy: Any, limit: Any, tmp_path: Path) -> None:
    hierarchy(tmp_path / "cgroup", limit)
    note(tmp_path / "docker")
    metrics = program.collect(tmp_path / "docker", tmp_path / "cgroup", 0)
    assert list(metrics["container_spec_memory_limit_bytes"].values()) == [0]


def test_what_does_not_run_or_is_just_going_is_left_out(tmp_path: Path) -> None:
    version_2(tmp_path / "cgroup")
    docker = tmp_path / "docker"
    note(docker, "b" * 64, Running=False)
    note(docker, "c" * 64)  # it has no control group any more
    (docker / "containers" / ("d" * 64)).mkdir()  # it has no notes yet
    write(docker / "containers" / ("e" * 64), **{"config__v2__json": '{"Name": "/half'})
    metrics = program.collect(docker, tmp_path / "cgroup", 0)
    assert all(values == {} for values in metrics.values())


def test_a_host_without_an_engine_has_no_containers(tmp_path: Path) -> None:
    version_2(tmp_path / "cgroup")
    assert list(program.running(tmp_path / "docker")) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T00:00:10.5Z", 10.5),
        ("1970-01-01T00:00:10.123456789Z", 10.123456),
        ("1970-01-01T01:00:10.25+01:00", 10.25),
    ],
)
def test_times_of_the_engine_are_read_on_every_python(text: str, seconds: float) -> None:
    assert program.parse_time(text) == pytest.approx(seconds)


def test_the_file_is_whole_and_readable(tmp_path: Path) -> None:
    version_2(tmp_path / "cgroup")
    note(tmp_path / "docker", Name='/a"b\\c')
    output = tmp_path / "containers.prom"
    command = [sys.executable, "-I", "-S", str(PROGRAM), str(output)]
    command += [str(tmp_path / "docker"), str(tmp_path / "cgroup")]
    subprocess.run(command, check=True, timeout=20)
    assert output.stat().st_mode & 0o777 == 0o644
    assert 'name="a\\"b\\\\c"' in output.read_text()
    assert [path.name for path in tmp_path.glob("containers*")] == ["containers.prom"]


@pytest.mark.parametrize("given", [1, 2, 3])
def test_places_that_are_not_given_are_the_usual_ones(
    given: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(tmp_path / "docker")
    version_2(tmp_path / "cgroups")
    monkeypatch.setattr(program, "DOCKER", str(tmp_path / "docker"))
    monkeypatch.setattr(program, "CGROUPS", str(tmp_path / "cgroups"))
    output = tmp_path / "x.prom"
    arguments = [str(output), str(tmp_path / "docker"), str(tmp_path / "cgroups")]
    program.main(arguments[:given])
    assert 'name="webapp-mysql-1"' in output.read_text()


def test_the_unit_has_no_way_to_the_engine_and_no_network() -> None:
    service = parse_unit(render("container_metrics", "container_metrics.service.j2"))["Service"]
    assert service["PrivateNetwork"] == ["true"]
    assert service["CapabilityBoundingSet"] == [""]
    assert "-/run/docker.sock" in service["InaccessiblePaths"][0].split()
