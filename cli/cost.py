"""What the instance has cost since its start, and when it stops itself."""

from __future__ import annotations

import datetime
import re
import subprocess

import yaml

from cli.running import ROOT, environment

# As the role tells them before a launch; prices have one place.
_PRICES = ROOT / "roles" / "ec2_instance" / "vars" / "main.yml"
_ASK = (
    "systemctl is-active -q labstack-stop.timer && cat /proc/uptime && "
    "systemctl show --property=NextElapseUSecMonotonic --value labstack-stop.timer"
)
_UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6}


def so_far(kind: str, started: str, now: datetime.datetime) -> str:
    """Returns what an instance has cost since it was started last, by AWS's list prices.

    Args:
        kind: the instance's type.
        started: when it was started last, ISO 8601.
        now: the time now.
    """
    prices = yaml.safe_load(_PRICES.read_text(encoding="utf-8"))
    if kind not in prices["__ec2_instance_hour"]:
        return f"see https://aws.amazon.com/ec2/pricing/on-demand/ for {kind}"
    hour = prices["__ec2_instance_hour"][kind] + prices["__ec2_instance_address_hour"]
    hours = (now - datetime.datetime.fromisoformat(started)).total_seconds() / 3600
    return f"about {max(0.0, hours) * hour:.2f} USD since then ({hour:.4f} an hour, list price)"


def span(text: str) -> float:
    """Returns the seconds of a time span as systemd writes it: "1h 5min 3.2s"."""
    parts = re.findall(r"([\d.]+)(w|d|h|min|ms|us|s)\b", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def stops_in(ssh: tuple[str, ...]) -> str:
    """Asks a host when it stops itself; returns that in words."""
    done = subprocess.run(
        (*ssh, _ASK),
        cwd=ROOT,
        env=environment("ec2"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    uptime, _, stops = done.stdout.partition("\n")
    if done.returncode == 255:
        return "(the host does not answer)"
    if done.returncode != 0 or not span(stops):
        return "never; in group_vars/all/stack.yml: ec2_instance_stop_after: 4"
    minutes = max(0.0, span(stops) - float(uptime.split()[0])) / 60
    return f"in {int(minutes // 60)} h {int(minutes % 60)} min (./lab ec2 up begins the count anew)"
