"""Times ./lab's runs and counts what they do: `./lab run python -m tests.bench.site`.

Prints, for a blank stand-in host: the first run of site.yml, then runs with nothing to do (seconds,
executed module tasks, changed tasks, requests to the mirror), a run with the tag of a role of which
one template has changed, and what the running stack takes of the host's memory.

With --by-hand, before that, the course document's commands as a shell script on another blank host
(by_hand.sh), and the ratio of both. With --hosts 10, afterwards, the role node_exporter on one host
and on ten small ones (hosts.yml): a first run and one with nothing to do, and the ratios.
"""

from __future__ import annotations

import argparse
import io
import shlex
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.lab import ROOT, RUN_TIMEOUT, Lab

BY_HAND = Path(__file__).with_name("by_hand.sh")
HOSTS = "tests/bench/hosts.yml"
# One template of one role: what changes is a line of prometheus.yml.
CHANGED = ("--tags", "prometheus", "-e", "prometheus_scrape_interval=7s")

# Actions that run on the controller, inside ansible-playbook: no module, no round trip.
CONTROLLER_ONLY = {"assert", "debug", "fail", "include_tasks", "set_fact", "validate_argument_spec"}
# Our own of that kind: they make their connections themselves.
CONTROLLER_ONLY |= {"preflight", "stack_verify"}
# What the host's control group takes; the first path is that of cgroup v2.
MEMORY = """
cd /sys/fs/cgroup
if [ -e memory.current ]; then
    used=$(cat memory.current) events=memory.events
    cache=$(sed -n 's/^inactive_file //p' memory.stat)
else
    cd memory
    used=$(cat memory.usage_in_bytes) events=memory.oom_control
    cache=$(sed -n 's/^total_inactive_file //p' memory.stat)
fi
kills=$(sed -n 's/^oom_kill //p' $events)
echo "$(((used - cache) / 1048576)) MiB without idle file cache, oom kills: $kills"
"""


def executed(document: dict[str, Any]) -> list[str]:
    """The names of the tasks that ran a module: neither skipped, nor the controller's own."""
    return [
        task["task"]["name"]
        for play in document["plays"]
        for task in play["tasks"]
        for result in task["hosts"].values()
        if not result.get("skipped")
        and result.get("action", "").rpartition(".")[2] not in CONTROLLER_ONLY
    ]


def requests_since(moment: float) -> list[str]:
    """The requests that the mirror has answered since that time (seconds since the epoch)."""
    done = subprocess.run(
        [sys.executable, "-m", "testbed", "requests", "--since", str(moment)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def memory(lab: Lab) -> str:
    """What the host's control group uses, and how often the kernel killed in it."""
    return lab.ssh("sudo sh -s", MEMORY).stdout.strip()


def upstreams() -> dict[str, str]:
    """What by_hand.sh reads from its environment: the upstreams that site.yml has here."""
    values: dict[str, Any] = yaml.safe_load(
        (ROOT / "group_vars" / "all" / "versions.yml").read_text()
    )
    stand_ins = ROOT / "inventory" / "lab" / "group_vars" / "lab" / "upstreams.yml"
    if stand_ins.exists():
        values |= yaml.safe_load(stand_ins.read_text())
    return {
        "REGISTRY_MIRROR": next(iter(values.get("docker_registry_mirrors", [])), ""),
        "RELEASES": values["stack_release_base_url"],
        "PROMETHEUS": values["prometheus_version"],
        "NODE_EXPORTER": values["node_exporter_version"],
        "GRAFANA_APT": values["grafana_apt_url"],
        "GRAFANA_KEY": values["grafana_apt_key_url"],
    }


def application() -> bytes:
    """The application's directory as by_hand.sh takes it: what git has of it."""
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT / "app", capture_output=True, text=True, check=True
    ).stdout
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in files.rstrip("\0").split("\0"):
            archive.add(ROOT / "app" / name, arcname=name)
    return stream.getvalue()


def by_hand(name: str) -> float:
    """Seconds that the document's commands take on a blank host of a lab of its own.

    Raises:
        subprocess.CalledProcessError: one of them failed.
    """
    lab = Lab(name)
    lab.up()
    try:
        lab.ssh("cat > by_hand.sh", BY_HAND.read_text())
        variables = " ".join(f"{key}={shlex.quote(value)}" for key, value in upstreams().items())
        began = time.monotonic()
        subprocess.run(
            ["ssh", "-F", ".lab/ssh_config", lab.host, f"sudo {variables} sh by_hand.sh"],
            cwd=ROOT,
            input=application(),
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=RUN_TIMEOUT,
        )
        return time.monotonic() - began
    finally:
        lab.down()


def many(name: str, count: int) -> tuple[float, float]:
    """Seconds that hosts.yml takes on so many blank hosts at once: a first run, and another.

    Raises:
        RuntimeError: a run failed; its end is in the message.
    """
    lab = Lab(name, tuple(f"host{number}" for number in range(count)))
    lab.up("--memory", "256m", "--swap", "256m", "--cpus", str(2 / count if count > 2 else 1))
    try:
        runs = [lab.play(playbook=HOSTS) for _ in range(2)]
        for run in runs:
            if run.status != 0:
                raise RuntimeError(run.output[-3000:])
        return runs[0].seconds, runs[1].seconds
    finally:
        lab.down()


def beside(name: str, count: int) -> None:
    """Prints what many hosts take beside one."""
    print("role node_exporter     first run   nothing to do")
    one, all_of_them = many(f"{name}-one", 1), many(f"{name}-many", count)
    for hosts, (first, again) in ((1, one), (count, all_of_them)):
        print(f"{hosts:3d} host(s)          {first:6.1f} s       {again:6.1f} s")
    ratios = [many / single for many, single in zip(all_of_them, one, strict=True)]
    print(f"ratio               {ratios[0]:6.2f} x       {ratios[1]:6.2f} x")


def main() -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs with nothing to do (default: 3)")
    parser.add_argument("--lab", default="bench", help="name of the lab (default: bench)")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    parser.add_argument("--by-hand", action="store_true", help="time the document's commands too")
    parser.add_argument("--hosts", type=int, default=0, help="time so many hosts at once too")
    arguments = parser.parse_args()

    hand = by_hand(f"{arguments.lab}-hand") if arguments.by_hand else 0.0
    lab = Lab(arguments.lab)
    lab.up()
    try:
        first = lab.play()
        print(f"first run           {first.seconds:6.1f} s   {first.recap}")
        if first.status != 0:
            print(first.output[-3000:])
            return 1
        if hand:
            print(f"document, by hand   {hand:6.1f} s   first run: {first.seconds / hand:.2f} x")
        seconds = []
        for _ in range(arguments.runs):
            run = lab.play()
            seconds.append(run.seconds)
            print(f"nothing to do       {run.seconds:6.1f} s   {run.recap}")
        print(f"nothing to do       {statistics.median(seconds):6.1f} s   median")
        changed = lab.play(*CHANGED)
        print(f"one template, a tag {changed.seconds:6.1f} s   {changed.recap}")
        lab.play("--tags", "prometheus")
        began = time.time()
        tasks = executed(lab.play_json())
        print(f"executed tasks      {len(tasks):4d}")
        print(f"requests to mirror  {len(requests_since(began)):4d}")
        print(f"memory              {memory(lab)}")
    finally:
        if not arguments.keep:
            lab.down()
    if arguments.hosts:
        beside(arguments.lab, arguments.hosts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
