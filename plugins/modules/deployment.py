"""Ansible module `deployment`: one deployment at a time on a host, and a log of all."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment
short_description: Let deployments of a host queue, and note who deployed what and when
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - With V(state=begun), takes the host's lock, or waits for whoever has it. A process on the host
    holds it for as long as the connection lives over which the controller has come (with
    OpenSSH's ControlPersist, some minutes longer than a run that was killed), or O(longest).
  - With V(state=done), writes a line to the log and gives the lock back.
  - With V(state=listed), shows the log and the releases that are kept.
options:
  state:
    description: See above.
    type: str
    choices: [begun, done, listed]
    required: true
  root:
    description: Where module M(labstack.stack.release_directory) keeps releases.
    type: path
    required: true
  application:
    description: Name of the application.
    type: str
    default: webapp
  who:
    description: Who deploys, for the others to read. Required for V(state=begun).
    type: str
    default: ""
  run:
    description:
      - The run of the controller, as C(<its name>:<its process>). Its next run can tell by it that
        this one was killed (RV(holder_run)).
    type: str
    default: ""
  version:
    description: What is deployed, in the words of whoever does it.
    type: str
    default: ""
  result:
    description: How it went. For V(state=done).
    type: str
    default: served
  wait:
    description: Seconds to wait for the lock. 0, only say who has it.
    type: int
    default: 1800
  longest:
    description: Seconds after which the lock is given back whatever happens.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Takes no lock and writes no line.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
"""

EXAMPLES = r"""
- name: Wait for whoever deploys now
  labstack.stack.deployment:
    state: begun
    root: /opt/webapp
    who: ana@laptop
"""

RETURN = r"""
held:
  description: Whether this deployment has the lock.
  returned: V(state=begun)
  type: bool
holder:
  description: Who had it when it was asked for, since when and with what; empty where nobody had.
  returned: V(state=begun)
  type: str
holder_run:
  description: O(run) of that holder; empty where nobody had the lock.
  returned: V(state=begun)
  type: str
previous:
  description: The release that served before the one of now; empty where there is none.
  returned: success
  type: str
current:
  description: The release that serves.
  returned: success
  type: str
kept:
  description: The releases that are there and have served, the one used last first.
  returned: success
  type: list
  elements: str
table:
  description: The log and the releases, in words.
  returned: V(state=listed)
  type: str
"""

import datetime
import fcntl
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import kept_releases
from ..module_utils.host_files import (
    Attributes,
    make_directory,
)

# The application that verbs of ./lab mean where they name none.
BUNDLED = "webapp"
LOCK = "deploying.json"
LOG = "deployments.jsonl"
POLL_S = 1.0
SHOWN = 20


def now() -> str:
    """Return the time of now in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def session() -> int:
    """Return the process of sshd that the controller's connection has; 0 where there is none."""
    process = os.getpid()
    while process > 1:
        try:
            text = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            return 0
        # The name is in parentheses, and may have some of its own.
        name, _, rest = text.partition("(")[2].rpartition(")")
        if name.startswith("sshd"):
            return process
        process = int(rest.split()[1])
    return 0


class Deployments:
    """The lock and the log of one application."""

    def __init__(self, root: Path, application: str = BUNDLED) -> None:
        """Name the directory, and the application for those who type its name."""
        self.root = root
        self.option = "" if application == BUNDLED else f" --app {application}"

    # --- Releases --------------------------------------------------------------------------------

    def current(self) -> str:
        """Return the release that serves; empty without one."""
        return kept_releases.current(self.root)

    def kept(self) -> list[str]:
        """Return the releases that are there and have served, the one used last first."""
        return kept_releases.served(self.root)

    def previous(self) -> str:
        """Return the release that served before the one of now; empty without one.

        By when each began to serve, not by the log: site.yml brings releases, too.
        """
        now = self.current()
        return next((release for release in self.kept() if release != now), "")

    # --- Log -------------------------------------------------------------------------------------

    def log(self) -> list[dict[str, Any]]:
        """Return the log, the oldest first; a line that was cut short is left out."""
        lines = []
        with suppress(FileNotFoundError):
            for line in (self.root / LOG).read_text().splitlines():
                with suppress(ValueError):
                    lines.append(json.loads(line))
        return lines

    def note(self, entry: dict[str, Any]) -> None:
        """Add a line to the log. Raises OSError."""
        log = self.root / LOG
        whole = not log.exists() or log.read_bytes()[-1:] in (b"", b"\n")
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w") as stream:
            # One that was cut short, by a power cut, has no end.
            stream.write(f"{'' if whole else chr(10)}{json.dumps(entry)}\n")
            stream.flush()
            os.fsync(descriptor)

    def table(self) -> str:
        """Return the log and the releases in words."""
        current, previous, kept = self.current(), self.previous(), self.kept()
        rows = [("when (UTC)", "who", "release", "version", "took", "")]
        for line in self.log()[-SHOWN:]:
            rows.append(
                (
                    line["time"].partition("+")[0].replace("T", " "),
                    line["who"],
                    line["release"] or "-",
                    line["version"] or "-",
                    f"{line['seconds']} s",
                    line["result"],
                )
            )
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()  # noqa: B905 - Python 3.10's zip, all of one length
            for row in rows
        ]
        if len(rows) == 1:
            text = ["Nothing was deployed by ./lab deploy or ./lab rollback yet."]
        text += ["", f"serves now: {current or 'nothing'}"]
        others = [release for release in kept if release != current]
        if others:
            text.append(f"kept:       {', '.join(others)}   (./lab rollback{self.option} RELEASE)")
        if previous:
            text.append(f"before it:  {previous}   (./lab rollback{self.option})")
        return "\n".join(text)

    # --- Lock ------------------------------------------------------------------------------------

    def holder(self) -> dict[str, Any]:
        """Return what the lock's holder has written; empty where nobody has."""
        try:
            found: dict[str, Any] = json.loads((self.root / LOCK).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def take(self, entry: dict[str, Any], wait: float, longest: float) -> tuple[bool, str]:
        """Take the lock; return whether we have it, and who had it when we came.

        Raises:
            OSError: it cannot be written.
        """
        if not self.root.is_dir():
            make_directory(self.root, Attributes.own(0o755))
        descriptor = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + wait
        before = ""
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not before:
                    before = told(self.holder())
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return False, before
            # The kernel would wait without an end.
            time.sleep(POLL_S)
        hold(descriptor, entry, longest)
        return True, before

    def give_back(self) -> dict[str, Any]:
        """End the process that holds the lock; return what it had written. Raises OSError."""
        holder = self.holder()
        if not holder:
            return {}
        descriptor = os.open(self.root / LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # It has the lock, so it lives, and its number is its own.
                with suppress(ProcessLookupError):
                    os.kill(int(holder["process"]), signal.SIGTERM)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)
        return holder


def told(holder: dict[str, Any]) -> str:
    """Return in words who has the lock."""
    if not holder:
        return "somebody who has just begun"
    version = f" ({holder['version']})" if holder.get("version") else ""
    return f"{holder['who']} since {holder['time']}{version}"


def hold(descriptor: int, entry: dict[str, Any], longest: float) -> None:
    """Leave a process behind that has the lock's file open, and so the lock."""
    connection = session()
    child = os.fork()
    if child:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({**entry, "process": child}).encode(), 0)
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    deadline = time.monotonic() + longest
    while time.monotonic() < deadline:
        if connection and not Path(f"/proc/{connection}").exists():
            break
        time.sleep(POLL_S)
    os._exit(0)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["begun", "done", "listed"], "required": True},
            "root": {"type": "path", "required": True},
            "application": {"default": BUNDLED},
            "who": {"default": ""},
            "version": {"default": ""},
            "run": {"default": ""},
            "result": {"default": "served"},
            "wait": {"type": "int", "default": 1800},
            "longest": {"type": "int", "default": 3600},
        },
        required_if=[("state", "begun", ("who",))],
        supports_check_mode=True,
    )
    given = module.params
    deployments = Deployments(Path(given["root"]), given["application"])
    answer: dict[str, Any] = {"changed": False}
    try:
        if given["state"] == "begun":
            entry = {
                "time": now(),
                "who": given["who"],
                "version": given["version"],
                "run": given["run"],
                "application": given["application"],
                "before": deployments.current(),
            }
            held, holder = True, ""
            before = deployments.holder()
            if not module.check_mode:
                held, holder = deployments.take(entry, given["wait"], given["longest"])
            if not held and given["wait"]:
                module.fail_json(
                    msg=f"Another deployment has not ended within {given['wait']} s: {holder}. "
                    f"See what it does, or end it on the host: sudo rm {deployments.root / LOCK}"
                )
            holder_run = "" if held else str(before.get("run", ""))
            answer |= {"held": held, "holder": holder, "holder_run": holder_run}
        elif given["state"] == "done" and not module.check_mode:
            began = deployments.give_back()
            if began:
                then = datetime.datetime.fromisoformat(began["time"])
                took = datetime.datetime.now(datetime.timezone.utc) - then
                release = deployments.current()
                answer["changed"] = release != began["before"]
                deployments.note(
                    {
                        **{name: began[name] for name in ("time", "who", "version", "before")},
                        "application": began["application"],
                        "release": release,
                        "result": given["result"],
                        "seconds": round(took.total_seconds()),
                    }
                )
        elif given["state"] == "listed":
            answer["table"] = deployments.table()
        module.exit_json(
            previous=deployments.previous(),
            current=deployments.current(),
            kept=deployments.kept(),
            **answer,
        )
    except OSError as error:
        module.fail_json(msg=f"The deployments of {deployments.root} cannot be noted: {error}")


if __name__ == "__main__":
    main()
