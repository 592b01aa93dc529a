"""Services of systemd: whether they run with the files that are there, and what makes them."""

from __future__ import annotations

import calendar
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import NoReturn

from .host_files import Attributes, replace, write_temporary

_PROPERTIES = (
    "ActiveEnterTimestamp",
    "ActiveState",
    "CanReload",
    "DropInPaths",
    "ExecMainStartTimestamp",
    "ExecMainStatus",
    "FragmentPath",
    "LoadState",
    "NRestarts",
    "NeedDaemonReload",
    "Result",
    "SubState",
    "Triggers",
    "UnitFileState",
)
# For the programs that are run: systemd before 251 shows times in the zone of the host.
ENVIRONMENT = {"LC_ALL": "C", "SYSTEMD_COLORS": "0", "TZ": "UTC"}
_STAMPS = Path("/run/labstack")
_DROP_INS = Path("/etc/systemd/system")
# Written anew by every daemon-reload, so their age says nothing.
_GENERATED = "/run/systemd/generator"
_POLL = 0.1  # seconds
_JOURNAL_LINES = 20

# Runs a program: arguments -> exit status, standard output, standard error.
Run = Callable[[list[str]], tuple[int, str, str]]


class ServiceError(Exception):
    """A message for the user."""


@dataclass(frozen=True)
class Unit:
    """A unit's state, as `systemctl show` prints it."""

    load: str = "loaded"
    active: str = "active"
    sub: str = "running"
    file_state: str = "enabled"
    result: str = "success"
    exit_status: str = "0"
    need_daemon_reload: bool = False
    can_reload: bool = True
    restarts: int = 0  # by systemd itself, since the last start by hand
    started_ns: int = 0  # wall clock, nanoseconds since 1970; 0 = never
    files: tuple[Path, ...] = ()  # the unit file and its drop-ins
    triggers: tuple[str, ...] = ()  # the units that a timer starts

    @property
    def up(self) -> bool:
        """Whether it runs (a oneshot unit: has run, and remains active)."""
        return self.active in ("active", "reloading", "refreshing")


@dataclass(frozen=True)
class Wanted:
    """The module's options."""

    unit: str
    restart_on: tuple[Path, ...] = ()
    reload_on: tuple[Path, ...] = ()
    enabled: bool = True
    settle: float = 1.0  # seconds


@dataclass(frozen=True)
class Decision:
    """What has to happen, and why."""

    action: str
    reason: str


def parse_timestamp(text: str) -> int:
    """Return `Tue 2026-11-24 02:35:11.123456 UTC` in nanoseconds since 1970; 0 for no time.

    The weekday is skipped: to parse it would depend on the locale.
    """
    fields = text.split()
    if len(fields) != 4:
        return 0
    seconds, _, fraction = fields[2].partition(".")
    parsed = time.strptime(f"{fields[1]} {seconds}", "%Y-%m-%d %H:%M:%S")
    return calendar.timegm(parsed) * 10**9 + int(fraction.ljust(9, "0"))


def parse_show(text: str) -> Unit:
    """Read the output of `systemctl show`."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def get(name: str) -> str:
        return values.get(name, "")

    files = [get("FragmentPath"), *get("DropInPaths").split()]
    return Unit(
        load=get("LoadState"),
        active=get("ActiveState"),
        sub=get("SubState"),
        file_state=get("UnitFileState"),
        result=get("Result"),
        exit_status=get("ExecMainStatus"),
        need_daemon_reload=get("NeedDaemonReload") == "yes",
        can_reload=get("CanReload") == "yes",
        restarts=int(get("NRestarts") or 0),
        started_ns=parse_timestamp(get("ExecMainStartTimestamp"))
        or parse_timestamp(get("ActiveEnterTimestamp")),
        files=tuple(Path(f) for f in files if f and not f.startswith(_GENERATED)),
        triggers=tuple(get("Triggers").split()),
    )


def bus_label(unit: str) -> str:
    """Return a unit's name as it stands in its D-Bus path (sd_bus_path_encode(3))."""
    return "".join(
        letter
        if letter.isascii() and letter.isalnum() and (index or not letter.isdigit())
        else f"_{ord(letter):02x}"
        for index, letter in enumerate(unit)
    )


def change_times(path: Path) -> Iterator[tuple[int, Path]]:
    """Yield the inode change times (ns) of a path, of a link's target, of all in a directory."""
    with suppress(OSError):
        yield path.lstat().st_ctime_ns, path
        yield path.stat().st_ctime_ns, path
    for directory, _, files in os.walk(path):
        for entry in (Path(directory), *(Path(directory, name) for name in files)):
            with suppress(OSError):
                yield entry.lstat().st_ctime_ns, entry


def newest(paths: Collection[Path], pending: Collection[Path] = ()) -> tuple[int, Path]:
    """Return the latest change time (ns) among `paths`, and whose it is; 0 where none exists.

    `pending` are files that check mode would have written: no change is later than theirs.
    """
    roots = set(paths)
    for path in pending:
        if roots & {path, *path.parents}:
            return sys.maxsize, path
    return max((found for path in paths for found in change_times(path)), default=(0, Path()))


def full_name(name: str) -> str:
    """Return a unit's name with its kind, which may be left out for a service."""
    return name if "." in name else f"{name}.service"


def decide(
    unit: Unit, wanted: Wanted, reloaded_ns: int, pending: Collection[Path] = ()
) -> Decision:
    """Say what has to happen to the running service.

    `reloaded_ns` is the newest change time that the last reload took in, 0 without one;
    `pending` as in `newest`.

    The kernel may stamp a file with the time of its last timer tick, up to 10 ms in the past, but
    never with a time in the future; systemd's stamp of the process is exact. So a file that was
    written before the start never looks newer than the process, and nothing is restarted twice.
    What looks older than it is, is a file that changes within a tick after the start: the process
    has hardly been executed by then, and reads it afterwards.
    """
    if not unit.up:
        return Decision("started", f"it was {unit.active or 'unknown'} ({unit.sub or unit.load})")
    # Only its directory shows that a drop-in has been removed.
    own = (*unit.files, _DROP_INS / f"{wanted.unit}.d")
    changed_ns, path = newest((*own, *wanted.restart_on), pending)
    if changed_ns > unit.started_ns:
        return Decision("restarted", f"{path} is newer than the process")
    if unit.need_daemon_reload:
        return Decision("restarted", "its unit definition has changed")
    changed_ns, path = newest(wanted.reload_on, pending)
    # Unequal, not later: so a clock that was set back hides no change.
    if changed_ns > unit.started_ns and changed_ns != reloaded_ns:
        if not unit.can_reload:
            return Decision("restarted", f"{path} is newer than the process, which cannot reload")
        return Decision("reloaded", f"{path} is newer than the process and its last reload")
    return Decision("none", "it runs with its current files")


def decide_boot(unit: Unit, wanted: Wanted) -> str:
    """Return `enabled` or `disabled` where the start at boot has to change, else `none`.

    Raises ServiceError for a unit that cannot be enabled.
    """
    if wanted.enabled and unit.file_state == "static":
        raise ServiceError(
            f"{wanted.unit} cannot start at boot, as its unit file has no [Install] section. Add\n"
            "[Install]\nWantedBy=multi-user.target\nor set enabled: false in the task."
        )
    # Other states are no links of this unit to make or remove: alias, generated, indirect, …
    if wanted.enabled and unit.file_state in ("disabled", "enabled-runtime", "linked"):
        return "enabled"
    if not wanted.enabled and unit.file_state in ("enabled", "enabled-runtime"):
        return "disabled"
    return "none"


def stamp_path(unit: str) -> Path:
    """Return the file that says what the last reload took in; a boot clears it."""
    return _STAMPS / f"{unit.removesuffix('.service')}.reloaded"


def read_stamp(unit: str) -> int:
    """Return the newest change time (ns) that the last reload took in; 0 without one."""
    with suppress(OSError, ValueError):
        return int(stamp_path(unit).read_text())
    return 0


def write_stamp(unit: str, changed_ns: int) -> None:
    """Note the newest change time from before a reload, not the time of the reload.

    So a file that changes while the reload runs counts as new, whatever the clocks' resolution.
    Raises OSError.
    """
    _STAMPS.mkdir(mode=0o755, exist_ok=True)
    content = [str(changed_ns).encode()]
    replace(write_temporary(_STAMPS, content, Attributes.own(0o644)), stamp_path(unit))


class Service:
    """A unit of systemd, through `systemctl`."""

    def __init__(self, wanted: Wanted, run: Run) -> None:
        """Take the options and a function that runs programs."""
        self.wanted = wanted
        self.run = run

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl and return its output. Raises ServiceError."""
        status, output, errors = self.run(["systemctl", *arguments])
        if status != 0:
            raise ServiceError(
                f"systemctl {arguments[0]} {self.wanted.unit} failed: "
                f"{errors.strip() or output.strip() or f'exit status {status}'}"
            )
        return output

    def show(self) -> Unit:
        """Read the unit's state. Raises ServiceError."""
        # The start as systemd recorded it, in microseconds. One computed from the monotonic clock
        # would move when the wall clock is set; a file's time does not.
        command = ("show", "--timestamp=us+utc", f"--property={','.join(_PROPERTIES)}")
        unit = parse_show(self.systemctl(*command, self.wanted.unit))
        if unit.started_ns and unit.started_ns % 10**9 == 0:
            # systemd before 251 shows whole seconds, whatever is asked for.
            unit = replace_fields(unit, started_ns=self.started_us() * 1000 or unit.started_ns)
        # What a timer starts may have changed while the timer itself has not.
        for name in unit.triggers:
            other = parse_show(self.systemctl(*command, name))
            unit = replace_fields(
                unit,
                files=unit.files + other.files,
                need_daemon_reload=unit.need_daemon_reload or other.need_daemon_reload,
            )
        return unit

    def started_us(self) -> int:
        """Ask systemd itself for the start, in microseconds since 1970; 0 where it cannot say."""
        for interface, name in (
            ("Service", "ExecMainStartTimestamp"),
            ("Unit", "ActiveEnterTimestamp"),
        ):
            status, output, _ = self.run(
                [
                    *("busctl", "--json=short", "get-property", "org.freedesktop.systemd1"),
                    f"/org/freedesktop/systemd1/unit/{bus_label(self.wanted.unit)}",
                    *(f"org.freedesktop.systemd1.{interface}", name),
                ]
            )
            found = re.search(r'"data":(\d+)', output) if status == 0 else None
            if found and int(found[1]):
                return int(found[1])
        return 0

    def load(self) -> Unit:
        """Make systemd read the unit's files. Raises ServiceError if it cannot."""
        self.systemctl("daemon-reload")
        unit = self.show()
        name = self.wanted.unit
        if unit.load == "not-found":
            raise ServiceError(
                f"There is no unit {name}: write /etc/systemd/system/{name} before this task, or "
                "correct its name."
            )
        if unit.load != "loaded":
            raise ServiceError(
                f"systemd cannot load {name} ({unit.load}). It says why to: "
                f"systemd-analyze verify {name}"
            )
        return unit

    def act(self, verb: str) -> None:
        """Start, restart or reload, and watch the unit. Raises ServiceError with the journal."""
        if verb != "reload":
            # Clears a start limit that a crash loop has reached; where there is none, it may fail.
            self.run(["systemctl", "reset-failed", self.wanted.unit])
        status, output, errors = self.run(["systemctl", verb, self.wanted.unit])
        if status != 0:
            lines = (errors.strip() or output.strip() or f"exit status {status}").splitlines()
            self.fail(f"did not {verb}: {lines[0]}")
        self.watch()

    def watch(self) -> None:
        """Look at the unit for `settle` seconds. Raises ServiceError when it goes down."""
        end = time.monotonic() + self.wanted.settle
        first = unit = self.show()
        while unit.up and unit.restarts == first.restarts:
            if time.monotonic() >= end:
                return
            # A program that dies later than its start is seen by looking for a while.
            time.sleep(_POLL)
            unit = self.show()
        self.fail(
            f"did not stay up for {self.wanted.settle:g} s: it is {unit.active} ({unit.sub}), "
            f"result {unit.result}, exit status {unit.exit_status}"
            + (f", restarted by systemd {unit.restarts} times" if unit.restarts else "")
        )

    def fail(self, problem: str) -> NoReturn:
        """Raise ServiceError with the problem and the unit's last words."""
        name = self.wanted.unit
        _, journal, _ = self.run(
            ["journalctl", f"--unit={name}", "--no-pager", f"--lines={_JOURNAL_LINES}"]
        )
        raise ServiceError(
            f"{name} {problem}. The end of its journal:\n{journal.strip() or '(empty)'}\n"
            f"More of it: sudo journalctl -e -u {name}"
        )

    def converge(self, check: bool, pending: Collection[Path] = ()) -> Decision:
        """Bring the service to its wanted state; `pending` as in `decide`.

        Raises ServiceError, OSError.
        """
        unit = self.show()
        if unit.load == "masked":
            raise ServiceError(
                f"{self.wanted.unit} is masked, so it cannot start: "
                f"sudo systemctl unmask {self.wanted.unit}"
            )
        # Before systemd reads the files again, and forgets that they had changed.
        decision = decide(unit, self.wanted, read_stamp(self.wanted.unit), pending)
        if not check and (unit.need_daemon_reload or unit.load != "loaded"):
            unit = self.load()
        boot = decide_boot(unit, self.wanted)
        if not check:
            if boot != "none":
                self.systemctl(boot.removesuffix("d"), self.wanted.unit)
            self.carry_out(decision, unit)
        if decision.action == "none" and boot != "none":
            return Decision(boot, f"its unit file was {unit.file_state}")
        return decision

    def carry_out(self, decision: Decision, unit: Unit) -> None:
        """Do what was decided. Raises ServiceError, OSError."""
        if decision.action == "restarted":
            self.act("restart")
        elif decision.action == "reloaded":
            changed_ns, _ = newest(self.wanted.reload_on)
            self.act("reload")
            write_stamp(self.wanted.unit, changed_ns)
        elif decision.action == "started":
            self.act("start")
            # A start that was under way already may have read files that have changed since.
            if decide(self.show(), self.wanted, 0).action != "none":
                self.act("restart")
        elif unit.restarts and time.time_ns() - unit.started_ns < self.wanted.settle * 10**9:
            # It runs, but perhaps for a moment only, between two crashes.
            self.watch()


def future_files(wanted: Wanted) -> str:
    """Return a warning about a file that stays newer than any process; empty if there is none."""
    changed_ns, path = newest((*wanted.restart_on, *wanted.reload_on))
    if changed_ns <= time.time_ns():
        return ""
    return (
        f"{path} was changed in the future, as the clock was set back since: {wanted.unit} "
        f"restarts or reloads on every run until then. To give the file today's time: touch {path}"
    )
