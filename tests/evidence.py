"""What a failing test on a host shows besides its assertion: the last words of what it looked at.

A test module names what it is about: `UNITS = ["prometheus"]`, `CONTAINERS = ["webapp"]` (Compose
projects). A conftest.py beside the tests imports the hook.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

LINES = 30


def commands(module: Any) -> list[str]:
    """The commands that show the state of what a test module names."""
    found = []
    for unit in getattr(module, "UNITS", []):
        name = shlex.quote(unit)
        found.append(f"systemctl status --no-pager --lines=0 {name}")
        found.append(f"journalctl --no-pager --unit={name} --lines={LINES}")
    for project in getattr(module, "CONTAINERS", []):
        name = shlex.quote(project)
        found.append(f"docker compose --project-name {name} ps --all")
        found.append(f"docker compose --project-name {name} logs --no-color --tail {LINES}")
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the evidence to the report of a failed test that has a `host`."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if call.when == "call" and report.failed and host:
        for command in commands(getattr(item, "module", None)):
            result = host.run(command)
            report.sections.append((f"{command} (on the host)", result.stdout + result.stderr))
    return report
