"""The program of the role backup, as the host runs it."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from tests.role_readme import ROLES

PROGRAM = ROLES / "backup" / "files" / "program"


def _load(name: str) -> Any:
    # Its directory is what the role copies: nothing is compiled into it.
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(PROGRAM))
    try:
        return importlib.import_module(f"labstack_backup.{name}")
    finally:
        sys.path.remove(str(PROGRAM))
        sys.dont_write_bytecode = before


archive = _load("archive")
common = _load("common")
mysql = _load("mysql")
restic = _load("restic")
restoring = _load("restoring")
saving = _load("saving")
status = _load("status")
stores = _load("stores")
verbs = _load("verbs")
