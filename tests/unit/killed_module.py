"""Runs a module, and kills it at the nth call of a function of `os`.

Arguments: name of the module, its options as JSON, name of the function, number of the call.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    name, options, function, call = sys.argv[1:]
    sys.path.insert(0, str(ROOT / "collections"))
    module = importlib.import_module(f"ansible_collections.labstack.stack.plugins.modules.{name}")
    original = getattr(os, function)
    calls = itertools.count(1)

    def deadly(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == int(call):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **keywords)

    setattr(os, function, deadly)
    with patch_module_args(json.loads(options)):
        module.main()


if __name__ == "__main__":
    main()
