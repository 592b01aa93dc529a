"""The limits of all services stand in one place, and fit a t2.micro with the role swap."""

from __future__ import annotations

from typing import Any

import yaml

from tests.role_readme import REPOSITORY, ROLES
from tests.unit.roles.rendering import load

MIB = 1024**2
HOST = 1024 * MIB  # a t2.micro
# Kernel, systemd, sshd, Docker's engine and containerd, which have no limit: measured 210 MiB.
SYSTEM = 300 * MIB
UNITS = {"K": 1024, "M": MIB, "G": 1024 * MIB}


def in_bytes(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1].upper()]


def stack() -> dict[str, Any]:
    path = REPOSITORY / "group_vars" / "all" / "stack.yml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def limits() -> dict[str, int]:
    """Return every memory limit of stack.yml in bytes."""
    return {
        name: in_bytes(str(value))
        for name, value in stack().items()
        if name.endswith(("_memory_max", "_memory")) and not name.startswith("journald_")
    }


def test_every_roles_limit_is_in_the_one_place() -> None:
    named = {
        name
        for path in ROLES.glob("*/defaults/main.yml")
        for name in load(path)
        if name.endswith(("_memory_max", "_memory")) and not name.startswith("journald_")
    }
    assert named == set(limits())


def test_the_limits_fit_memory_and_swap() -> None:
    swap = in_bytes(load(ROLES / "swap" / "defaults" / "main.yml")["swap_size"])
    assert sum(limits().values()) + SYSTEM <= HOST + swap


def test_each_limit_alone_leaves_the_system_room() -> None:
    assert all(limit + SYSTEM <= HOST for limit in limits().values())
