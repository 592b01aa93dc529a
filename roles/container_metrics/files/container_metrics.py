#!/usr/bin/python3
"""Writes what each running container takes as a file for Node Exporter's textfile collector.

Usage: container_metrics.py OUTPUT [DOCKER] [CGROUPS]

Reads the engine's own notes of its containers (names, images, starts) and the kernel's control
groups (memory, processor), v1 or v2. It asks the engine nothing: who may do that is root on the
host. Names and meanings of the metrics are cAdvisor's, so that dashboards for it work; those that
cAdvisor has not begin with container_engine_.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

DOCKER = "/var/lib/docker"
CGROUPS = "/sys/fs/cgroup"
# cgroup v1 says "no limit" by the largest number of whole pages, cAdvisor by 0.
UNLIMITED = 1 << 60
# Where engines put containers, by cgroup driver: systemd, cgroupfs.
PLACES = ("system.slice/docker-{}.scope", "docker/{}")
HELP = {
    "container_last_seen": ("gauge", "Last time the container was seen, Unix time."),
    "container_start_time_seconds": ("gauge", "Start of the container, Unix time."),
    "container_cpu_usage_seconds_total": ("counter", "Processor time used, in seconds."),
    "container_memory_usage_bytes": ("gauge", "Memory in use, file cache included."),
    "container_memory_working_set_bytes": ("gauge", "Memory in use without idle file cache."),
    "container_memory_rss": ("gauge", "Anonymous memory, in bytes."),
    "container_spec_memory_limit_bytes": ("gauge", "Memory limit; 0 without one."),
    "container_oom_events_total": ("counter", "Processes killed for lack of memory."),
    "container_processes": ("gauge", "Processes in the container."),
    "container_engine_restarts_total": ("counter", "Times the engine started it again."),
}


@dataclass(frozen=True)
class Container:
    """A running container, as the engine notes it.

    Attributes:
        id: 64 hexadecimal digits.
        name: without the leading slash.
        image: as it was asked for.
        started: Unix time.
        restarts: how often its restart policy has started it again.
    """

    id: str
    name: str
    image: str
    started: float
    restarts: int


def parse_time(text: str) -> float:
    """Return RFC 3339 with up to nine digits of fraction as Unix time. Raises ValueError."""
    # Python before 3.11 takes three or six digits, and no Z.
    whole = re.sub(r"(\.\d{6})\d+", r"\1", text.replace("Z", "+00:00"))
    whole = re.sub(r"\.(\d{1,5})(?=[+-])", lambda m: "." + m[1].ljust(6, "0"), whole)
    return datetime.fromisoformat(whole).timestamp()


def running(docker: Path) -> Iterator[Container]:
    """Yield the running containers. Raises OSError where the directory cannot be read."""
    directory = docker / "containers"
    if not directory.exists():
        return
    for entry in sorted(directory.iterdir()):
        try:
            notes: dict[str, Any] = json.loads((entry / "config.v2.json").read_text())
            state = notes["State"]
            if state["Running"]:
                yield Container(
                    id=entry.name,
                    name=notes["Name"].removeprefix("/"),
                    image=notes["Config"]["Image"],
                    started=parse_time(state["StartedAt"]),
                    restarts=int(notes.get("RestartCount", 0)),
                )
        # One that is being made or removed right now; the next run sees what has become of it.
        except (FileNotFoundError, NotADirectoryError, KeyError, ValueError):
            continue


def fields(path: Path) -> dict[str, int]:
    """Return a file of "name number" lines. Raises OSError."""
    pairs = (line.split() for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def number(path: Path) -> int:
    """Return a file's number; "max" is 0. Raises OSError."""
    text = path.read_text().strip()
    return 0 if text == "max" else int(text)


def group(root: Path, identifier: str) -> Path | None:
    """Return a container's directory below a hierarchy's root; None where it has none."""
    paths = (root / place.format(identifier) for place in PLACES)
    return next((path for path in paths if path.is_dir()), None)


def measure(cgroups: Path, identifier: str) -> dict[str, float]:
    """Return what a container's control groups say; empty where it has ended. Raises OSError."""
    if (cgroups / "cgroup.controllers").exists():
        own = group(cgroups, identifier)
        return measure_v2(own) if own else {}
    memory, cpu, pids = (
        group(cgroups / name, identifier) for name in ("memory", "cpuacct", "pids")
    )
    return measure_v1(memory, cpu, pids) if memory and cpu and pids else {}


def measure_v2(own: Path) -> dict[str, float]:
    """Return the values of a control group of v2. Raises OSError."""
    stat = fields(own / "memory.stat")
    usage = number(own / "memory.current")
    return {
        "container_cpu_usage_seconds_total": fields(own / "cpu.stat")["usage_usec"] / 1e6,
        "container_memory_usage_bytes": usage,
        "container_memory_working_set_bytes": max(0, usage - stat["inactive_file"]),
        "container_memory_rss": stat["anon"],
        "container_spec_memory_limit_bytes": number(own / "memory.max"),
        "container_oom_events_total": fields(own / "memory.events").get("oom_kill", 0),
        "container_processes": number(own / "pids.current"),
    }


def measure_v1(memory: Path, cpu: Path, pids: Path) -> dict[str, float]:
    """Return the values of the control groups of v1. Raises OSError."""
    stat = fields(memory / "memory.stat")
    usage = number(memory / "memory.usage_in_bytes")
    limit = number(memory / "memory.limit_in_bytes")
    return {
        "container_cpu_usage_seconds_total": number(cpu / "cpuacct.usage") / 1e9,
        "container_memory_usage_bytes": usage,
        "container_memory_working_set_bytes": max(0, usage - stat["total_inactive_file"]),
        "container_memory_rss": stat["total_rss"],
        "container_spec_memory_limit_bytes": limit if limit < UNLIMITED else 0,
        # Linux counts it since 4.13.
        "container_oom_events_total": fields(memory / "memory.oom_control").get("oom_kill", 0),
        "container_processes": number(pids / "pids.current"),
    }


def quoted(text: str) -> str:
    """Return a label's value in the text format's quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def collect(docker: Path, cgroups: Path, now: float) -> dict[str, dict[str, float]]:
    """Return, for each metric, its values by label set. Raises OSError."""
    metrics: dict[str, dict[str, float]] = {name: {} for name in HELP}
    for container in running(docker):
        try:
            values = measure(cgroups, container.id)
        # It has ended since; its control group goes file by file.
        except FileNotFoundError:
            continue
        if not values:
            continue
        labels = f"name={quoted(container.name)},image={quoted(container.image)}"
        values["container_last_seen"] = now
        values["container_start_time_seconds"] = container.started
        values["container_engine_restarts_total"] = container.restarts
        for name, value in values.items():
            metrics[name][labels] = value
    return metrics


def exposition(metrics: dict[str, dict[str, float]]) -> str:
    """Return metrics in Prometheus's text format."""
    lines = []
    for name, (kind, text) in HELP.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{labels}}} {value!r}" for labels, value in metrics[name].items()]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Put a file in place in one step: the collector never reads half of it. Raises OSError."""
    # The collector reads names that end in .prom only.
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.chmod(0o644)
    os.replace(temporary, path)  # noqa: PTH105 - says that it replaces


def main(arguments: list[str]) -> None:
    """Write the file that the first argument names."""
    output, docker, cgroups = (*arguments, *(DOCKER, CGROUPS)[len(arguments) - 1 :])
    metrics = collect(Path(docker), Path(cgroups), time.time())
    write(Path(output), exposition(metrics))


if __name__ == "__main__":
    main(sys.argv[1:])
