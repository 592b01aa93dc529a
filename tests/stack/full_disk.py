"""Runs on a host: what a Prometheus of the stack's version does when its disk is full, and after.

Prints one JSON object: what was seen at each stage. It uses a tmpfs of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

DISK = Path("/run/full-disk")
UNIT = f"full-disk-{os.getpid()}"
URL = "http://127.0.0.1:9991"
SIZE = "16m"
LIMIT = 60.0  # seconds for each stage


def ask(path: str) -> str:
    """Return the body of an answer, an empty text without one."""
    try:
        with urllib.request.urlopen(URL + path, timeout=5) as answer:  # noqa: S310 - the loopback
            return str(answer.read().decode())
    except OSError:
        return ""


def value(expression: str) -> float:
    """Return the value of an expression with one result; 0 for none."""
    text = ask(f"/api/v1/query?query={quote(expression)}")
    result = json.loads(text)["data"]["result"] if text else []
    return float(result[0]["value"][1]) if result else 0.0


def wait(what: str, condition: Callable[[], Any]) -> None:
    """Wait for a condition. Exits with what it was when it does not come true."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not within {LIMIT:g} s: {what}")
        # Between two looks; the limit is above.
        time.sleep(0.2)


def start() -> None:
    """Start Prometheus, which scrapes itself, on the small disk."""
    command = ["systemd-run", "--quiet", f"--unit={UNIT}", "--property=MemoryMax=200M"]
    command += ["/usr/local/bin/prometheus", f"--config.file={DISK}/prometheus.yml"]
    command += [f"--storage.tsdb.path={DISK}/data", "--web.listen-address=127.0.0.1:9991"]
    subprocess.run(command, check=True)
    wait("Prometheus is ready", lambda: ask("/-/ready"))


def stop(signal: str) -> None:
    """End Prometheus by a signal."""
    command = ["systemctl", "kill", f"--signal={signal}", UNIT]
    subprocess.run(command, check=False, capture_output=True)
    show = ["systemctl", "is-active", "--quiet", UNIT]
    wait("Prometheus has ended", lambda: subprocess.run(show, check=False).returncode != 0)
    subprocess.run(["systemctl", "reset-failed", UNIT], check=False, capture_output=True)


def main() -> None:
    """Fill the disk, free it, kill the server; print what was seen."""
    DISK.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", DISK], check=True)
    config = {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
        "scrape_configs": [
            {"job_name": "self", "static_configs": [{"targets": [URL.removeprefix("http://")]}]}
        ],
    }
    (DISK / "prometheus.yml").write_text(json.dumps(config))
    seen: dict[str, Any] = {}
    try:
        start()
        wait("samples come", lambda: value('count_over_time(up{job="self"}[10m])') > 20)
        before = time.time()
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={DISK}/filler", "bs=64k"], check=False, capture_output=True
        )
        journal = ["journalctl", f"--unit={UNIT}", "--no-pager", "--output=cat"]

        def words() -> str:
            return subprocess.run(journal, capture_output=True, text=True, check=False).stdout

        wait("the journal says it", lambda: "no space left on device" in words())
        seen["answers while full"] = bool(ask("/-/ready"))
        # It cannot store what it measures of itself now, but says it to who asks.
        failed = re.search(
            r"^prometheus_tsdb_wal_writes_failed_total (\S+)$", ask("/metrics"), re.M
        )
        seen["failed writes"] = float(failed[1]) if failed else None
        (DISK / "filler").unlink()
        # What the runbook says: the log has a hole now, and the next start cuts off what is behind.
        stop("TERM")
        start()
        freed = time.time()

        def since() -> str:
            return f'count_over_time(up{{job="self"}}[{int((time.time() - freed) * 1000)}ms])'

        wait("samples come again", lambda: value(since()) > 10)
        after = time.time()
        old = f'count_over_time(up{{job="self"}}[10m] @ {before})'
        new = f'count_over_time(up{{job="self"}}[{int((after - freed) * 1000)}ms] @ {after})'
        seen["before"], seen["after"] = value(old), value(new)
        stop("KILL")
        start()
        seen["before, kept"], seen["after, kept"] = value(old), value(new)
        stop("TERM")
    finally:
        subprocess.run(["systemctl", "stop", UNIT], check=False, capture_output=True)
        subprocess.run(["umount", "--lazy", DISK], check=False)
        DISK.rmdir()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
