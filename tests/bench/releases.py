"""Releases under load: `./lab run python -m tests.bench.releases`.

On a stand-in host of 1 processor and 1 GiB, 200 requests a second (tests/steady.py: GET and POST,
on connections that are kept and not) go on while the application is deployed, well and badly,
rolled back, its certificate renewed, Apache's configuration changed, released with too little
memory for a second Flask, and the engine restarted.
Prints for each: requests, those that failed, those on a kept connection that the server closed
before a byte of the answer (sent again on another, as browsers do), p99 before and during, the
host's peak memory, how long it took. Then, without load, what a deployment costs.

Other work on the machine changes every time and no count; its load is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests import rollouts, steady
from tests.lab import Lab, Run

if TYPE_CHECKING:
    from collections.abc import Callable

CONVERGE = "molecule/webapp/converge.yml"
DEPLOY = "playbooks/deploy.yml"
# MiB of memory that are free where a second Flask does not fit: less than it takes with the module
# rollout's reserve, and enough for what a release does besides.
SHORT = 90
# Prints what the host takes, in bytes, as available_mib() of the module rollout reckons it.
TAKEN = """python3 - <<'END'
from pathlib import Path
v2 = Path("/sys/fs/cgroup/memory.current")
v1 = Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")
usage, total = (v2, "") if v2.exists() else (v1, "total_")
stat = dict(line.split() for line in usage.with_name("memory.stat").read_text().splitlines())
cache = int(stat[total + "inactive_file"]) + int(stat[total + "active_file"]) // 2
print(int(usage.read_text()) - cache)
END"""
# Seconds of load before and after what is measured.
BEFORE, AFTER = 8, 4


def on_host(lab: Lab, command: str) -> str:
    """Runs a shell command as root on the host; returns what it prints. Raises RuntimeError."""
    done = lab.ssh("sudo sh -s", command)
    if done.returncode != 0:
        raise RuntimeError(f"`{command}` failed on the host:\n{done.stdout}{done.stderr}")
    return done.stdout


def measure(lab: Lab, password: str, name: str, act: Callable[[], str], rate: float) -> int:
    """Prints a line of the table; returns how many requests failed.

    Args:
        lab: with the host.
        password: of the account admin.
        name: of what happens.
        act: lets it happen, and returns what went otherwise than it should.
        rate: requests a second.
    """
    with steady.load(lab.address, password, rate) as seen:
        time.sleep(BEFORE)
        began = time.monotonic()
        with rollouts.peak_memory(lambda script: on_host(lab, script)) as peak:
            wrong = act()
        took = time.monotonic() - began
        time.sleep(AFTER)
    before, during = seen.p99(1, BEFORE), seen.p99(BEFORE, BEFORE + took)
    again = sum(seen.reused_closed.values())
    figures = f"{seen.requests:10}{seen.failed:8}{again:8}{before * 1e3:10.0f}{during * 1e3:10.0f}"
    host = f"{peak[0]:10}{took:8.0f}{os.getloadavg()[0]:8.1f}"
    print(f"{name:22}{figures}{host}   {wrong}", flush=True)
    for problem, times in seen.problems.most_common(5):
        print(f"    {times} x {problem}")
    on_host(lab, rollouts.UNSEED)
    return seen.failed


def verdict(case: rollouts.Case, run: Run) -> str:
    """Returns what was otherwise than the case says; empty where nothing was."""
    if (run.status != 0) != case.fails:
        return f"exit status {run.status}: {run.output[-600:]}"
    return "" if case.says in run.output else f"its message lacks {case.says!r}"


def table(lab: Lab, rate: float, only: list[str]) -> None:
    """Prints the table."""
    password = on_host(lab, "cat /etc/labstack/secrets/webapp_admin_password").strip()
    print(
        f"{'':22}{'requests':>10}{'failed':>8}{'again':>8}{'p99 ms':>10}{'during':>10}"
        f"{'peak MiB':>10}{'s':>8}{'load':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        base = rollouts.copy_of_app(Path(folder) / "app")
        for case in rollouts.CASES:
            if only and case.name not in only:
                continue
            arguments = rollouts.arguments(case, base, Path(folder) / "changed")

            def deploy(case: rollouts.Case = case, arguments: list[str] = arguments) -> str:
                return verdict(case, lab.play(*arguments, playbook=case.playbook))

            measure(lab, password, case.name, deploy, rate)
        others: dict[str, Callable[[], str]] = {
            "renewed certificate": lambda: renew(lab),
            "short of memory": lambda: short(lab, base),
            "engine restart": lambda: restart(lab),
        }
        for name, act in others.items():
            if not only or name in only:
                measure(lab, password, name, act, rate)
    kills = on_host(lab, "dmesg 2>/dev/null | grep -c 'Killed process' || true").strip()
    print(f"killed by the kernel on this machine: {kills or 'not known'}")


def renew(lab: Lab) -> str:
    """Lets the certificate be made anew, as a month before its end."""
    on_host(lab, rollouts.AGE_CERTIFICATE)
    run = lab.play(playbook=DEPLOY)
    return "" if run.status == 0 else run.output[-600:]


def short(lab: Lab, base: Path) -> str:
    """Deploys a good release where a second Flask does not fit: 503 until the new one serves."""
    case = rollouts.Case("short of memory", rollouts.good, says="memory is short")

    def memory(size: int) -> None:
        command = ["docker", "update", f"--memory={size}", lab.host]
        subprocess.run(command, check=True, capture_output=True)

    command = ["docker", "inspect", "--format", "{{.HostConfig.Memory}}", lab.host]
    before = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    arguments = rollouts.arguments(case, base, base)
    try:
        memory(int(on_host(lab, TAKEN)) + SHORT * 2**20)
        return verdict(case, lab.play(*arguments, playbook=DEPLOY))
    finally:
        memory(before)


def restart(lab: Lab) -> str:
    """Restarts the engine, and waits until the application answers again."""
    on_host(lab, "systemctl restart docker")
    deadline = time.monotonic() + 120
    probe = "docker inspect -f '{{.State.Health.Status}}' webapp-flask-app-1 webapp-apache-1"
    while on_host(lab, probe).split() != ["healthy", "healthy"]:
        if time.monotonic() > deadline:
            return "not healthy after 120 s"
        time.sleep(0.5)
    return ""


def costs(lab: Lab, runs: int) -> None:
    """Prints how long a deployment takes without load."""
    with tempfile.TemporaryDirectory() as folder:
        base = rollouts.copy_of_app(Path(folder) / "app")
        for name in ("good release", "nothing changed"):
            case = next(case for case in rollouts.CASES if case.name == name)
            seconds = []
            for _ in range(runs):
                run = lab.play(
                    *rollouts.arguments(case, base, Path(folder) / "changed"), playbook=DEPLOY
                )
                if run.status != 0:
                    raise RuntimeError(run.output[-2000:])
                seconds.append(run.seconds)
            print(
                f"{name:22}{statistics.median(seconds):6.1f} s   median of {runs},"
                f" load {os.getloadavg()[0]:.1f}"
            )


def main() -> int:
    """Runs the bench; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=steady.RATE, help="requests a second")
    parser.add_argument("--runs", type=int, default=3, help="deployments without load (default: 3)")
    parser.add_argument("--only", action="append", default=[], help="of the table, not all")
    parser.add_argument("--lab", default="bench-releases", help="name of the lab")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    arguments = parser.parse_args()
    lab = Lab(arguments.lab)
    try:
        lab.up()
        run = lab.play(playbook=CONVERGE)
        if run.status != 0:
            print(f"bench: the host did not converge:\n{run.output[-3000:]}", file=sys.stderr)
            return 1
        table(lab, arguments.rate, arguments.only)
        if arguments.runs:
            costs(lab, arguments.runs)
    finally:
        if not arguments.keep:
            lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
