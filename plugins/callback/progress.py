"""Callback `progress`: a line for each stage, and a log with each task."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: A line for each stage, what is left, and a log of everything
version_added: "0.1.0"
author: labstack (@labstack)
description:
  - A stage is a role of a play, or a play without roles. Each one ends as one line, with the time
    it took and what it changed. Failures stand in full, once.
  - In a terminal, the last line shows the running task, the time so far, and what is left by the
    last run of this playbook on these hosts.
  - Everything that the callback P(ansible.builtin.default#callback) says goes to a file, whose path
    is the last line of a run.
  - Beside it, a file of the same name ending in C(.json) keeps the counts of the run for programs.
  - What a role gives M(ansible.builtin.set_stats) as C(summary) follows the recap.
  - With C(-v) or C(--diff) it is the callback P(ansible.builtin.default#callback).
options:
  folder:
    description:
      - The folder of the logs, and of the times of past runs. The newest 20 logs stay.
    type: path
    default: ~/.ansible/labstack
    ini:
      - section: callback_progress
        key: folder
    env:
      - name: LABSTACK_RUNS
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

import atexit
import contextlib
import dataclasses
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ansible import constants as C  # noqa: N812 - Ansible's own name for it
from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.display import Display

KEPT_LOGS = 20
NAME_WIDTH = 17  # columns; the longest name of a role here is container_metrics
TICK = 1.0  # seconds between two drawings of the last line
DOT = 4.0  # seconds between two dots, where there is no terminal


def clock(seconds: float) -> str:
    """Returns a time as minutes and seconds, such as 1:05."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def shorten(text: str, width: int) -> str:
    """Returns the text within so many columns; where something is missing, it ends in "…"."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


@dataclasses.dataclass
class Stage:
    """A role of a play, or a play without roles.

    Attributes:
        name: the role's name without this collection's, or the play's.
        number: from 1.
        count: how many stages the run has.
        began: `time.monotonic()` of its first task.
        changes: the names of the tasks that changed something, each with the number of hosts.
        failed: whether a task failed on a host.
    """

    name: str
    number: int
    count: int
    began: float = 0.0
    changes: dict[str, int] = dataclasses.field(default_factory=dict)
    failed: bool = False

    @property
    def head(self) -> str:
        """The beginning of its line, such as "[ 7/15] prometheus"."""
        width = len(str(self.count))
        return f"[{self.number:{width}}/{self.count}] {shorten(self.name, NAME_WIDTH)}"

    def result(self, seconds: float) -> str:
        """Returns the rest of its line, after so many seconds."""
        done = [
            name if hosts == 1 else f"{name} ({hosts} hosts)"
            for name, hosts in self.changes.items()
        ]
        count = f"{len(done)} changes: " if len(done) > 1 else ""
        what = "failed" if self.failed else count + "; ".join(done) or "ok"
        padding = " " * (NAME_WIDTH - len(shorten(self.name, NAME_WIDTH)))
        return f"{padding}{seconds:7.1f} s  {what}"


class Times:
    """How long the stages of a run took the last time: with changes, and without any.

    Args:
        path: the file of all runs; one that cannot be read counts as empty.
        run: what tells runs apart: the playbook, and what limits it.
    """

    def __init__(self, path: Path, run: str) -> None:
        """Notes where they are."""
        self._path = path
        self._run = run

    def _read(self) -> dict[str, dict[str, dict[str, float]]]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        return {}

    def last(self, *, changed: bool) -> dict[str, float]:
        """Returns the seconds of each stage by its head, in their order; empty where unknown."""
        return self._read().get(self._run, {}).get(str(changed), {})

    def keep(self, seconds: dict[str, float], *, changed: bool) -> None:
        """Keeps those of a run that ended well. Raises OSError."""
        runs = self._read()
        runs.setdefault(self._run, {})[str(changed)] = seconds
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(runs), encoding="utf-8")
        new.replace(self._path)


def left(known: dict[str, float], stage: str, spent: float) -> float | None:
    """Returns the seconds that are left of a run, or None where nothing is known.

    Args:
        known: the seconds of each stage the last time, in their order.
        stage: the running one.
        spent: the seconds that it has taken so far.
    """
    if stage not in known:
        return None
    names = list(known)
    after = names[names.index(stage) + 1 :]
    return max(known[stage] - spent, 0.0) + sum(known[name] for name in after)


class Screen:
    """What the callback writes on: the log, the screen where it is told, and the last line.

    The last line is written by os.write: Ansible forks for each task, and a lock that a thread
    holds at that moment would stay locked in the child.

    Args:
        display: Ansible's own display.
    """

    def __init__(self, display: Any) -> None:
        """Looks whether there is a terminal."""
        self._display = display
        self._log: TextIO | None = None
        self._live = ""
        self._open = False
        self._dots = 0
        self._ended = threading.Event()
        self.terminal = sys.stdout.isatty()
        self.shown = False

    def __getattr__(self, name: str) -> Any:
        """Leaves the rest, such as warnings and the verbosity, to Ansible's display."""
        return getattr(self._display, name)

    def start(self, log: Path, text: Callable[[], str]) -> None:
        """Opens the log, and begins to draw the last line. Raises OSError."""
        # For the user alone: what a task says may be meant for nobody else.
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._log = os.fdopen(opened, "w", encoding="utf-8")
        target, args = (self._draw_on, (text,)) if self.terminal else (self._dot_on, ())
        threading.Thread(target=target, args=args, daemon=True).start()

    def end(self) -> None:
        """Draws no more."""
        self._ended.set()
        self.clear()

    def display(self, msg: str, *args: Any, **options: Any) -> None:
        """Writes to the log, and to the screen while `shown` is true."""
        if self._log:
            self._log.write(f"{msg}\n")
        if self.shown:
            self.clear()
            self._display.display(msg, *args, **options)

    def banner(self, msg: str, *args: Any, **options: Any) -> None:
        """Writes a heading as `display` does."""
        if self._log:
            self._log.write(f"\n{time.strftime('%H:%M:%S')} {msg}\n")
        if self.shown:
            self.clear()
            self._display.banner(msg, *args, **options)

    def head(self, text: str) -> None:
        """Writes the beginning of a line that waits for its end; a terminal has the last line."""
        if not self.terminal:
            self.clear()
            self._display.display(text, newline=False)
            sys.stdout.flush()
            self._dots, self._open = 0, True

    def finish(self, head: str, rest: str, color: str) -> None:
        """Writes a line, or of the one that waits its end."""
        waits, self._open = self._open, False
        text = shorten(head + rest, shutil.get_terminal_size().columns)
        if waits:
            # The dots stand where blanks would.
            ending = text.removeprefix(head)
            blanks = len(ending) - len(ending.lstrip())
            text = ending[min(self._dots, max(blanks - 1, 0)) :]
        self._write(text, color)

    def say(self, text: str, color: str | None = None) -> None:
        """Writes whole lines to the screen alone."""
        self._write(text, color)

    def _write(self, text: str, color: str | None) -> None:
        self.clear()
        self._display.display(text, color=color)
        sys.stdout.flush()

    def clear(self) -> None:
        """Lets the next line begin at the left."""
        if self._open:
            self._open = False
            self._display.display("")
        sys.stdout.flush()
        if self._live:
            self._live = ""
            os.write(sys.stdout.fileno(), b"\r\x1b[K")

    def _draw_on(self, text: Callable[[], str]) -> None:
        while not self._ended.wait(TICK):
            self.draw(text())

    def _dot_on(self) -> None:
        """Shows that the run goes on, where a line waits for its end."""
        while not self._ended.wait(DOT):
            if self._open:
                mark = b"." if self._dots else b" ."
                self._dots += len(mark)
                os.write(sys.stdout.fileno(), mark)

    def draw(self, text: str) -> None:
        """Draws the last line."""
        if self.terminal and not self._ended.is_set():
            self._live = shorten(text, shutil.get_terminal_size().columns - 1)
            os.write(sys.stdout.fileno(), f"\r\x1b[K{self._live}".encode())


def recap(host: str, counts: dict[str, int]) -> str:
    """Returns a host's line of the recap, without what did not happen.

    Args:
        host: its name.
        counts: Ansible's, by its own names, such as "failures".
    """
    shown = {"ok": counts["ok"], "changed": counts["changed"], "failed": counts["failures"]}
    shown |= {name: count for name, count in counts.items() if count and name != "failures"}
    return f"{host}: {' '.join(f'{name}={count}' for name, count in shown.items())}"


def _summaries(stats: Any) -> list[str]:
    """Returns what roles have to say at the end: of each host the C(summary) of set_stats."""
    return [told["summary"] for told in stats.custom.values() if told.get("summary")]


def _is_wanted(role: Any, play: Any) -> bool:
    """Says whether the tags of the command line let a role run."""
    tags, only, skipped = set(role.tags), set(play.only_tags), set(play.skip_tags)
    return bool({"all", *tags} & (only | ({"always"} & tags))) and not tags & skipped


def _stages(plays: list[Any]) -> dict[str, Stage]:
    """Returns the stages of a run by what Ansible knows their roles or plays by."""
    parts = [
        part
        for play in plays
        for part in ([role for role in play.roles if _is_wanted(role, play)] or [play])
    ]
    return {
        part._uuid: Stage(part.get_name().removeprefix("labstack.stack."), number, len(parts))
        for number, part in enumerate(parts, 1)
    }


def _role_of(task: Any) -> str:
    """Returns what Ansible knows a play's role by, whichever role that one has included."""
    role, above = task._role, task._parent
    while above is not None:
        role, above = getattr(above, "_role", None) or role, above._parent
    return role._uuid if role else ""


class CallbackModule(Default):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """The callback itself: see DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "labstack.stack.progress"

    def __init__(self) -> None:
        """Takes the place of the display, unless each task is wanted."""
        super().__init__()
        display = Display()
        self._on = not (display.verbosity or context.CLIARGS.get("diff"))
        self._screen = Screen(display)
        self._stages: dict[str, Stage] = {}
        self._stage: Stage | None = None
        self._task = ""
        self._began = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._known: dict[bool, dict[str, float]] = {}
        self._times: Times | None = None
        self._log = ""
        self._record: dict[str, Any] = {}
        if self._on:
            self._display = self._screen
            atexit.register(self._stopped)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Counts the stages, opens the log and begins to draw."""
        super().v2_playbook_on_start(playbook)
        if not self._on:
            return
        self._stages = _stages(playbook.get_plays())
        folder = Path(self.get_option("folder"))
        name = Path(playbook._file_name).stem
        limits = [context.CLIARGS.get(key) for key in ("subset", "tags", "skip_tags")]
        self._times = Times(folder / "times.json", repr((name, *limits)))
        self._known = {changed: self._times.last(changed=changed) for changed in (False, True)}
        log = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{os.getpid()}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._screen.start(log, self._now)
        except OSError as problem:
            self._screen.warning(f"This run has no log: {problem}")
        else:
            self._log = os.path.relpath(log)
            self._record = {
                "playbook": name,
                "began": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
                "check": bool(context.CLIARGS.get("check")),
                "limits": [str(limit) for limit in limits if limit and limit != ("all",)],
            }
            for old in sorted(folder.glob("*.log"))[:-KEPT_LOGS]:
                old.unlink(missing_ok=True)
                old.with_suffix(".json").unlink(missing_ok=True)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Shows the task, in its stage."""
        self._enter(task)
        super().v2_playbook_on_task_start(task, is_conditional)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Shows the handler, in its stage."""
        self._enter(task)
        super().v2_playbook_on_handler_task_start(task)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Counts a change, and shows what a debug task says."""
        if self._on and result.result.get("changed") and self._stage:
            changes = self._stage.changes
            changes[self._task] = changes.get(self._task, 0) + 1
        if self._on and result.result.get("_ansible_verbose_always"):
            self._screen.say(str(result.result.get("msg", "")))
        super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Shows the failure, once."""
        if self._on and self._stage:
            self._stage.failed = True
        self._show(super().v2_runner_on_failed, result, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Shows which host cannot be reached, and why."""
        if self._on and self._stage:
            self._stage.failed = True
        self._show(super().v2_runner_on_unreachable, result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Shows which item failed."""
        self._show(super().v2_runner_item_on_failed, result)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Shows that a play has no host."""
        self._show(super().v2_playbook_on_no_hosts_matched)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Ends the last stage, and shows the recap."""
        if not self._on:
            super().v2_playbook_on_stats(stats)
            return
        self._leave()
        self._stage = None
        self._screen.end()
        super().v2_playbook_on_stats(stats)
        for host in sorted(stats.processed):
            self._screen.say(recap(host, stats.summarize(host)))
        ended_well = not (stats.failures or stats.dark) and not context.CLIARGS.get("check")
        if ended_well and self._times:
            with contextlib.suppress(OSError):
                self._times.keep(self._seconds, changed=bool(stats.changed))
        self._keep(stats)
        for summary in _summaries(stats):
            self._screen.say(f"\n{summary}")
        if self._log:
            self._screen.say(f"\nEach task of this run: {self._log}")

    def _keep(self, stats: Any) -> None:
        """Writes the record of the run beside its log."""
        if not self._log:
            return
        hosts = {}
        for host in stats.processed:
            counts = stats.summarize(host)
            hosts[host] = {"failed": counts.pop("failures"), **counts}
        seconds = round(time.monotonic() - self._began, 1)
        with contextlib.suppress(OSError):
            Path(self._log).with_suffix(".json").write_text(
                json.dumps({**self._record, "seconds": seconds, "hosts": hosts}), encoding="utf-8"
            )

    def _handle_exception(self, result: Any, use_stderr: bool = False) -> None:
        """Leaves out what Ansible says of a failure a second time, with an excerpt of the role."""
        if self._on:
            result.pop("exception", None)
        super()._handle_exception(result, use_stderr=use_stderr)

    def _handle_warnings(self, res: Any) -> None:
        """Lets warnings begin on a line of their own."""
        if self._on and (res.get("warnings") or res.get("deprecations")):
            self._screen.clear()
        super()._handle_warnings(res)

    def _show(self, event: Callable[..., None], *args: Any) -> None:
        """Lets the default callback say something on the screen too."""
        self._screen.shown = True
        # So that it names the task first.
        self._last_task_banner = None
        try:
            event(*args)
        finally:
            self._screen.shown = False

    def _enter(self, task: Any) -> None:
        """Goes on to a task, and to its stage."""
        if not self._on:
            return
        stage = self._stages.get(_role_of(task)) or self._stages.get(self._play._uuid)
        stage = stage or self._stage or next(iter(self._stages.values()))
        # Without the role, and the file of it, that role authors put in front of a name.
        self._task = task.get_name().rpartition(" : ")[2].rpartition(" | ")[2]
        if stage is not self._stage:
            self._leave()
            self._stage = stage
            stage.began = time.monotonic()
            self._screen.head(stage.head)
        self._screen.draw(self._now())

    def _leave(self) -> None:
        """Ends the running stage with its line."""
        if self._stage:
            stage = self._stage
            seconds = time.monotonic() - stage.began
            self._seconds[stage.head] = self._seconds.get(stage.head, 0.0) + seconds
            color = (
                C.COLOR_ERROR if stage.failed else C.COLOR_CHANGED if stage.changes else C.COLOR_OK
            )
            self._screen.finish(stage.head, stage.result(seconds), color)

    def _now(self) -> str:
        """Returns the last line: the stage, the time so far, what is left, and the task."""
        if not self._stage:
            return ""
        now = time.monotonic()
        changed = any(stage.changes for stage in self._stages.values())
        rest = left(self._known.get(changed, {}), self._stage.head, now - self._stage.began)
        until = "" if rest is None else f", about {clock(rest)} left"
        return f"{self._stage.head}  {clock(now - self._began)}{until}  {self._task}"

    def _stopped(self) -> None:
        """Says how to go on where the run has ended in the middle, as by Ctrl-C."""
        self._screen.end()
        if self._stage:
            self._screen.say(f"Stopped in {self._stage.head}. The same command goes on from there.")
