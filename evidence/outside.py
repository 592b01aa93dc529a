"""Which of a host's ports can be reached from this computer."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Seconds: longer than any round trip on Earth; a firewall drops packets without a word.
TIMEOUT = 1.5


def knock(address: str, port: int, timeout: float = TIMEOUT) -> str:
    """Returns "open", "refused" (nothing listens for us), or "silent" (packets are dropped)."""
    try:
        with socket.create_connection((address, port), timeout):
            return "open"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "silent"


def listening(sockets: str) -> dict[int, list[str]]:
    """Returns the addresses by port, from what `ss -Hltn` prints."""
    found: dict[int, list[str]] = {}
    for line in sockets.splitlines():
        if match := re.fullmatch(r"(.+):(\d+)", (line.split() + [""] * 4)[3]):
            found.setdefault(int(match[2]), []).append(match[1])
    return found


def ports(
    address: str, servers: Mapping[str, Mapping[str, Any]], sockets: str
) -> list[dict[str, Any]]:
    """Returns each port of the table of services and each other one that the host listens on.

    Args:
        address: the host's.
        servers: the services by name, each with port, exposure, closed and present.
        sockets: what `ss -Hltn` prints on the host.

    Returns:
        port, service, for whom it is meant, on which addresses the host listens, whether it should
        answer from here, what it did, and whether that is as it should be.
    """
    local = listening(sockets)
    rows: dict[int, dict[str, Any]] = {}
    for name, server in servers.items():
        if server.get("present", True):
            rows[int(server["port"])] = {
                "service": name,
                "exposure": server.get("exposure", ""),
                "open_wanted": not server.get("closed", False),
            }
    for port in local:
        # What is in no table is nobody's to reach.
        rows.setdefault(port, {"service": "", "exposure": "", "open_wanted": False})
    order = sorted(rows)
    with ThreadPoolExecutor(max_workers=32) as pool:
        seen = list(pool.map(lambda port: knock(address, port), order))
    return [
        {
            "port": port,
            **rows[port],
            "listens_on": sorted(set(local.get(port, []))),
            "seen": state,
            "holds": (state == "open") == rows[port]["open_wanted"],
        }
        for port, state in zip(order, seen, strict=True)
    ]
