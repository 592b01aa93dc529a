"""A day of samples through a Prometheus with the stack's limits, a kill, and the coming back.

`./lab run python -m tests.bench.prometheus_day LAB [--series N] [--hours N]`: on a stand-in host
that has the stack, starts a second Prometheus with the unit's memory limit and its own directory,
sends it samples 5 s apart by remote write, faster than a day takes, kills it, and starts it again.
Prints peaks of memory, times, and whether every sample is still there. Exit status 1: killed for
memory, or samples lost.
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
from pathlib import Path

from tests.lab import ROOT

ON_THE_HOST = Path(__file__).with_name("on_the_host_day.py")


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="prometheus_day", description=__doc__)
    parser.add_argument("lab", help="name of the lab, as in ./lab up (default there: lab)")
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--memory-max", default="256M", help="as prometheus_memory_max")
    arguments = parser.parse_args()
    code = base64.b64encode(ON_THE_HOST.read_bytes()).decode()
    remote = (
        f"echo {code} | base64 -d > /tmp/prometheus_day.py && sudo python3 /tmp/prometheus_day.py "
        f"{arguments.series} {arguments.hours} {arguments.memory_max}; "
        "status=$?; rm -f /tmp/prometheus_day.py; exit $status"
    )
    command = ["ssh", "-F", ".lab/ssh_config", f"labstack-{arguments.lab}-ec2", remote]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
