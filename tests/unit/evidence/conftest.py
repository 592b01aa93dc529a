"""A report as the lab's host gave it, and what the role hands over to make one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

RECORDED = Path(__file__).with_name("recorded.json")
SECRET = "correct-horse-battery-staple"


@pytest.fixture
def document() -> dict[str, Any]:
    """The recorded report."""
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def given(document: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """What the role hands over, of a host that has nothing to look at from outside."""
    return {
        "host": "ec2",
        "address": "127.0.0.1",
        "language": "en",
        "directory": str(tmp_path / "report" / "ec2"),
        "runs": str(tmp_path / "runs"),
        "servers": {},
        "checks": document["checks"],
        "secrets": [SECRET],
        "programs": {"prometheus": {"version": "3.13.4", "checksums": {"amd64": "0" * 64}}},
        "images": {},
        "commands": [
            {
                "item": {"key": row["name"]},
                "cmd": row["command"].split(),
                "rc": row["status"],
                "stdout": "" if row["name"] == "sockets" else row["output"],
            }
            for row in document["commands"]
        ],
    }
