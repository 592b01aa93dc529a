"""Times ./lab's runs and counts what they do: `./lab run python -m tests.bench.site`.

Prints, for a blank stand-in host: the first run of site.yml, then runs with nothing to do (seconds,
executed module tasks, changed tasks, requests to the mirror), and what the running stack takes of
the host's memory.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from typing import Any

from tests.lab import ROOT, Lab

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


def main() -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs with nothing to do (default: 3)")
    parser.add_argument("--lab", default="bench", help="name of the lab (default: bench)")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    arguments = parser.parse_args()

    lab = Lab(arguments.lab)
    lab.up()
    try:
        first = lab.play()
        print(f"first run           {first.seconds:6.1f} s   {first.recap}")
        if first.status != 0:
            print(first.output[-3000:])
            return 1
        seconds = []
        for _ in range(arguments.runs):
            run = lab.play()
            seconds.append(run.seconds)
            print(f"nothing to do       {run.seconds:6.1f} s   {run.recap}")
        print(f"nothing to do       {statistics.median(seconds):6.1f} s   median")
        began = time.time()
        tasks = executed(lab.play_json())
        print(f"executed tasks      {len(tasks):4d}")
        print(f"requests to mirror  {len(requests_since(began)):4d}")
        print(f"memory              {memory(lab)}")
    finally:
        if not arguments.keep:
            lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
