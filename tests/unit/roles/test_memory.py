"""The limits of all services stand in one table, and fit a t2.micro with the role swap."""

from __future__ import annotations

import re

from tests.role_readme import REPOSITORY, ROLES
from tests.unit.roles.rendering import evaluate, load

MIB = 1024**2
HOST = 1024 * MIB  # a t2.micro
# Kernel, systemd, sshd, Docker's engine and containerd, which have no limit: measured 210 MiB.
SYSTEM = 300 * MIB
UNITS = {"K": 1024, "M": MIB, "G": 1024 * MIB}


def in_bytes(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1].upper()]


def limits() -> dict[str, int]:
    """Return the memory limit of each service of the table in bytes."""
    rows = load(REPOSITORY / "group_vars" / "all" / "services.yml")["stack_services"]
    named = {name: f"stack_services.{name}.memory" for name, row in rows.items() if "memory" in row}
    return {name: in_bytes(str(evaluate("journald", path))) for name, path in named.items()}


def test_every_roles_limit_is_in_the_table_and_a_knob() -> None:
    text = (REPOSITORY / "group_vars" / "all" / "services.yml").read_text(encoding="utf-8")
    named = {
        name
        for path in ROLES.glob("*/defaults/main.yml")
        for name in load(path)
        if name.endswith(("_memory_max", "_memory")) and not name.startswith("journald_")
    }
    assert set(re.findall(r"memory: \"{{ (\w+) }}\"", text)) == named
    places = [REPOSITORY / "group_vars" / "all" / name for name in ("stack.yml", "services.yml")]
    assert named <= {name for place in places for name in load(place)}


def test_the_limits_fit_memory_and_swap() -> None:
    swap = in_bytes(load(ROLES / "swap" / "defaults" / "main.yml")["swap_size"])
    assert sum(limits().values()) + SYSTEM <= HOST + swap


def test_each_limit_alone_leaves_the_system_room() -> None:
    assert all(limit + SYSTEM <= HOST for limit in limits().values())
