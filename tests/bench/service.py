"""Times one service by this collection's module and by Ansible's own, side by side.

`./lab run python -m tests.bench.service --lab NAME` needs a stand-in host that has the stack. It
prints the seconds of runs in which nothing changes: Prometheus by the role's one task, and what it
writes by a task for each step (service.yml, beside this file).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile

from tests.lab import Lab

STANDARD = "tests/bench/service.yml"
OURS = """
- hosts: all
  gather_facts: true
  gather_subset: ["!all", "!min", platform]
  become: true
  roles: [labstack.stack.secrets]
  tasks:
    - ansible.builtin.include_role: {name: labstack.stack.prometheus, tasks_from: service}
      vars: {prometheus_probe: false}
"""


def median(lab: Lab, playbook: str, runs: int) -> tuple[float, dict[str, int]]:
    """Return the median of the seconds of `runs` runs after a first one, and the last recap."""
    first = lab.play(playbook=playbook)
    if first.status != 0:
        raise SystemExit(first.output[-3000:])
    done = [lab.play(playbook=playbook) for _ in range(runs)]
    return statistics.median(run.seconds for run in done), done[-1].recap


def main() -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lab", default="bench", help="name of the lab (default: bench)")
    arguments = parser.parse_args()
    lab = Lab(arguments.lab)
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as playbook:
        playbook.write(OURS)
        playbook.flush()
        for name, path in (("one task", playbook.name), ("standard modules", STANDARD)):
            seconds, recap = median(lab, path, arguments.runs)
            print(f"{name:18} {seconds:6.1f} s   {recap}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
