"""Runs this repository's Ansible modules inside the test's process, as Ansible does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).resolve().parents[2]

Result = dict[str, Any]
RunModule = Callable[..., Result]
RunKilled = Callable[..., None]


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunModule:
    """Return run(main, options, check=False, diff=False) -> the module's result.

    The result has all that Ansible could show: `invocation`, and `warnings` as a list of texts.
    """
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _, warning, **__: warnings.append(warning))

    def run(
        main: Callable[[], None], options: Result, *, check: bool = False, diff: bool = False
    ) -> Result:
        warnings.clear()
        internal = {
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
            "_ansible_inject_invocation": True,
        }
        capsys.readouterr()
        with patch_module_args({**options, **internal}), pytest.raises(SystemExit):
            main()
        result: Result = json.loads(capsys.readouterr().out)
        return {"warnings": list(warnings), **result}

    return run


@pytest.fixture
def run_killed() -> RunKilled:
    """Return run(module, options, function, call): kills a module at its nth call of a function.

    The function is one of `os`; the process gets SIGKILL in its place, so nothing is tidied up.
    """

    def run(module: str, options: Result, function: str, call: int = 1) -> None:
        code = Path(__file__).with_name("killed_module.py")
        process = subprocess.run(
            [sys.executable, code, module, json.dumps(options), function, str(call)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert process.returncode == -signal.SIGKILL, process.stdout + process.stderr

    return run
