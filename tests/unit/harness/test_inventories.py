"""Staging and production, as docs/operations.md shows them: each has its own values."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.unit.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def example() -> dict[str, str]:
    """Each file of the example, with its content."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("## Staging and production\n")[2].partition("\n## ")[0]
    block = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[0]
    return dict(re.split(r" {2,}", line, maxsplit=1) for line in block.splitlines())


@pytest.fixture
def inventories(tmp_path: Path) -> Path:
    for name, content in example().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(yaml.safe_load(content), dict)
        file.write_text(content + "\n")
    return tmp_path / "inventories"


def values(inventory: Path) -> dict[str, Any]:
    """What the playbooks see of the host, with the repository's own group_vars."""
    names = [
        "ansible_host",
        "stack_address",
        "webapp_mysql_memory",
        "webapp_tls",
        "stack_monitoring_tls",
    ]
    wanted = ", ".join(f"'{name}': {name}" for name in [*names, "prometheus_memory_max"])
    done = subprocess.run(
        [
            *("ansible", "web", "-i", str(inventory), "-m", "ansible.builtin.debug"),
            *("--playbook-dir", str(ROOT / "playbooks"), "-a", f"msg={{{{ {{{wanted}}} }}}}"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    play = json.loads(done.stdout)["plays"][0]
    said: dict[str, Any] = play["tasks"][0]["hosts"]["web"]["msg"]
    return said


def test_two_inventories_have_different_values(inventories: Path) -> None:
    staging, production = (values(inventories / name) for name in ("staging", "production"))
    assert staging["webapp_mysql_memory"] == "256m"
    assert production["webapp_mysql_memory"] == "320m"
    assert (staging["webapp_tls"], production["webapp_tls"]) == ("self_signed", "letsencrypt")
    assert (staging["stack_monitoring_tls"], production["stack_monitoring_tls"]) == (False, True)
    # Where no name is given, it is the address.
    assert (staging["stack_address"], production["stack_address"]) == (
        "203.0.113.7",
        "www.example.net",
    )
    # What neither says is shared.
    assert staging["prometheus_memory_max"] == production["prometheus_memory_max"] == "256M"
