"""Log lines in logfmt, as the original writes them, on standard output and in the log folder."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TextIO

_lock = threading.Lock()
_file: TextIO | None = None


def to_file(folder: Path) -> None:
    """Also append every line to ``grafana.log`` in a folder, created where missing."""
    global _file  # noqa: PLW0603 - one log a process
    folder.mkdir(parents=True, exist_ok=True)
    _file = (folder / "grafana.log").open("a", encoding="utf-8")


def line(logger: str, level: str, message: str, **values: object) -> None:
    """Write one line: time, level, message and any further values."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = f"logger={logger} t={stamp} level={level} msg={json.dumps(message, ensure_ascii=False)}"
    for key, value in values.items():
        word = str(value)
        quoted = not word or any(c in word for c in ' "=')
        text += f" {key}={json.dumps(word, ensure_ascii=False) if quoted else word}"
    with _lock:
        print(text, flush=True)
        if _file is not None:
            print(text, file=_file, flush=True)
