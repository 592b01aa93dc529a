"""The instance and what answers on it."""

from __future__ import annotations

import concurrent.futures
import datetime
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.labstack.stack.plugins.module_utils.ec2_lab import Instance

# What people type into the browser, by port.
PORTS: Mapping[int, tuple[str, str]] = {
    22: ("SSH", "./lab ec2 ssh"),
    80: ("web page", "http://{}/"),
    443: ("web page, TLS", "https://{}/"),
    3000: ("Grafana", "http://{}:3000/   (admin)"),
    9090: ("Prometheus", "http://{}:9090/   (monitor)"),
    9100: ("Node Exporter", "http://{}:9100/   (monitor)"),
}
PROBE_TIMEOUT = 3.0  # seconds; a security group that does not let one in says nothing


def answers(address: str, port: int) -> str:
    """Says what a TCP port does: "answers", "refused", or "silent"."""
    try:
        with socket.create_connection((address, port), timeout=PROBE_TIMEOUT):
            return "answers"
    except ConnectionRefusedError:
        return "refused: nothing listens"
    except OSError:
        return "silent: the security group, or the machine"


def since(started: str, now: datetime.datetime) -> str:
    """Returns the time from a start (ISO 8601) to now: "2 d 3 h", "3 h 5 min", "5 min"."""
    minutes = max(0, int((now - datetime.datetime.fromisoformat(started)).total_seconds() // 60))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def lines(instance: Instance, now: datetime.datetime) -> list[str]:
    """Returns the status as lines of text; asks the ports of a running instance."""
    running = instance.state == "running"
    told = [
        f"{instance.id}  {instance.type}, {instance.region}",
        f"  state    {instance.state}"
        + (f", for {since(instance.started, now)}" if running else "   (./lab ec2 up starts it)"),
        f"  address  {instance.address or 'none'}",
    ]
    if not running or not instance.address:
        return told
    with concurrent.futures.ThreadPoolExecutor(len(PORTS)) as pool:
        seen = list(pool.map(lambda port: answers(instance.address, port), PORTS))
    for (name, form), state in zip(PORTS.values(), seen, strict=True):
        told.append(f"  {name:<14} {form.format(instance.address):<44} {state}")
    told.append("  Passwords      ./lab ec2 ssh sudo grep -r . /etc/labstack/secrets")
    return told
