"""Ansible module `converged_service`: a systemd service that runs with its current files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: converged_service
short_description: Make a systemd service run with its current files
version_added: "0.1.0"
author: labstack
description:
  - Starts and enables a service, and restarts or reloads it when a file it depends on is newer
    than its running process.
  - The decision depends on the host's state alone, never on what this run changed. So a run that
    was killed between writing a file and restarting is healed by the next one, without handlers.
  - A file's inode change time counts (ctime, which also moves with a rename, an owner or a mode),
    against the start of the service's main process. Missing files are ignored.
  - Check mode sees the files as they are, not as earlier tasks of the same run would have made
    them.
options:
  name:
    description: Name of the unit; C(.service) is added where no suffix is given.
    type: str
    required: true
  restart_on:
    description:
      - Files and directories (with all that is in them) whose change asks for a restart. A symbolic
        link counts, and so does its target.
      - The unit file, its drop-ins and their directory count by themselves.
    type: list
    elements: path
    default: []
  reload_on:
    description:
      - The same for a reload. A restart wins over it, and replaces it where the unit cannot reload.
    type: list
    elements: path
    default: []
  enabled:
    description: Whether the service starts at boot.
    type: bool
    default: true
  settle:
    description:
      - Seconds for which the service must stay up after a start, restart or reload. A program that
        ends at once, or is started again by systemd, fails the task.
    type: float
    default: 1.0
attributes:
  check_mode:
    description: Decides, changes nothing. A unit that does not exist yet would be started.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
"""

EXAMPLES = r"""
- name: Run Prometheus with its current files
  converged_service:
    name: prometheus
    restart_on:
      - /usr/local/bin/prometheus
      - /etc/prometheus/web.yml
    reload_on:
      - /etc/prometheus/prometheus.yml
      - /etc/prometheus/rules.yml
"""

RETURN = r"""
action:
  description: What was done (would be done) to the service.
  returned: success
  type: str
  sample: none, started, restarted, reloaded, enabled, disabled
reason:
  description: Why, for instance the file that is newer than the process.
  returned: success
  type: str
"""

import calendar
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.atomic_files import replace, write_temporary
from ansible.module_utils.basic import AnsibleModule

_PROPERTIES = (
    "ActiveState",
    "ActiveEnterTimestamp",
    "CanReload",
    "DropInPaths",
    "ExecMainStartTimestamp",
    "ExecMainStatus",
    "FragmentPath",
    "LoadState",
    "MainPID",
    "NeedDaemonReload",
    "NRestarts",
    "Result",
    "SubState",
    "UnitFileState",
)
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

    load: str
    active: str
    sub: str
    file_state: str
    result: str
    exit_status: str
    need_daemon_reload: bool
    can_reload: bool
    main_pid: int
    restarts: int
    started_ns: int  # wall clock, nanoseconds since 1970; 0 = never
    files: tuple[Path, ...]

    @property
    def up(self) -> bool:
        """Whether it runs (or, for a oneshot unit, has run and remains active)."""
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
    """What has to happen to the service, and why."""

    action: str
    reason: str


def parse_timestamp(text: str) -> int:
    """Return `Tue 2026-11-24 02:35:11.123456 UTC` in nanoseconds since 1970; 0 for no time.

    The weekday is skipped: parsing it would depend on the locale.
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
        main_pid=int(get("MainPID") or 0),
        restarts=int(get("NRestarts") or 0),
        started_ns=parse_timestamp(get("ExecMainStartTimestamp"))
        or parse_timestamp(get("ActiveEnterTimestamp")),
        files=tuple(Path(f) for f in files if f and not f.startswith(_GENERATED)),
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


def newest(paths: Iterable[Path]) -> tuple[int, Path | None]:
    """Return the latest change time (ns) among `paths`, and whose it is; 0 where none exists."""
    return max((found for path in paths for found in change_times(path)), default=(0, None))


def decide(unit: Unit, wanted: Wanted, reloaded: int) -> Decision:
    """Say what has to happen to the service itself.

    `reloaded` is the newest change time (ns) that the last reload took in, 0 without one.

    The kernel stamps a file with the time of its last timer tick: up to 10 ms late in the past,
    never in the future. systemd stamps the process exactly. So a file that was written before the
    start can never look newer than the process, and a strict comparison restarts nothing twice.
    A file that is written in the tick of the start, but after the program read it, would be missed;
    a program needs longer than that to get from its fork to reading, and a task to the next one.
    """
    if not unit.up:
        return Decision("started", f"it was {unit.active or 'unknown'} ({unit.sub or unit.load})")
    own = (*unit.files, _DROP_INS / f"{wanted.unit}.d")
    changed, path = newest((*own, *wanted.restart_on))
    if changed > unit.started_ns:
        return Decision("restarted", f"{path} is newer than the process")
    if unit.need_daemon_reload:
        return Decision("restarted", "its unit definition has changed")
    changed, path = newest(wanted.reload_on)
    if changed > unit.started_ns and changed != reloaded:
        if not unit.can_reload:
            return Decision("restarted", f"{path} is newer than the process, and it cannot reload")
        return Decision("reloaded", f"{path} is newer than the last reload")
    return Decision("none", "it runs with its current files")


def stamp_path(unit: str) -> Path:
    """Return the file that says what the last reload took in; a boot clears it."""
    return _STAMPS / f"{unit.removesuffix('.service')}.reloaded"


def read_stamp(unit: str) -> int:
    """Return the newest change time (ns) that the last reload took in; 0 without one."""
    with suppress(OSError, ValueError):
        return int(stamp_path(unit).read_text())
    return 0


def write_stamp(unit: str, changed: int) -> None:
    """Note the newest change time (ns) from before a reload, not the reload's own time.

    So a file that changes while the reload runs counts as new, whatever the clocks' resolution.
    """
    _STAMPS.mkdir(mode=0o755, exist_ok=True)
    data = str(changed).encode()
    replace(write_temporary(_STAMPS, [data], 0o644, os.geteuid(), os.getegid()), stamp_path(unit))


class Service:
    """A unit of systemd, through `systemctl`."""

    def __init__(self, wanted: Wanted, run: Run) -> None:
        """Take the options and a function that runs programs."""
        self.wanted = wanted
        self.run = run

    def show(self) -> Unit:
        """Read the unit's state. Raises ServiceError."""
        # The time that systemd recorded, in microseconds (systemd 248 and later): a time computed
        # from the monotonic clock would move when the wall clock is set, a file's time would not.
        output = self.systemctl(
            "show", "--timestamp=us+utc", f"--property={','.join(_PROPERTIES)}", self.wanted.unit
        )
        return parse_show(output)

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl and return its output. Raises ServiceError."""
        status, output, errors = self.run(["systemctl", *arguments])
        if status != 0:
            raise ServiceError(
                f"systemctl {' '.join(arguments)} failed: {errors.strip() or output.strip()}"
            )
        return output

    def act(self, verb: str) -> None:
        """Start, restart or reload, and watch the unit. Raises ServiceError with the journal."""
        if verb != "reload":
            # Clears a start limit that a crash loop reached; no matter if there is none to clear.
            self.run(["systemctl", "reset-failed", self.wanted.unit])
        status, output, errors = self.run(["systemctl", verb, self.wanted.unit])
        if status != 0:
            self.fail(f"did not {verb}: {(errors.strip() or output.strip()).splitlines()[0]}")
        self.watch()

    def watch(self) -> None:
        """Wait for `settle` seconds. Raises ServiceError when the unit goes down or starts anew."""
        first = unit = self.show()
        end = time.monotonic() + self.wanted.settle
        while True:
            if not unit.up:
                self.fail(
                    f"did not stay up: it is {unit.active} ({unit.sub}), "
                    f"result {unit.result}, exit status {unit.exit_status}"
                )
            if (unit.main_pid, unit.restarts) != (first.main_pid, first.restarts):
                self.fail("ended and was started again by systemd")
            if time.monotonic() >= end:
                return
            time.sleep(_POLL)
            unit = self.show()

    def fail(self, problem: str) -> None:
        """Raise ServiceError with the problem and the unit's last words."""
        unit = self.wanted.unit
        command = ["journalctl", f"--unit={unit}", "--no-pager", f"--lines={_JOURNAL_LINES}"]
        _, journal, _ = self.run(command)
        raise ServiceError(
            f"{unit} {problem}. The last lines of its journal:\n{journal.strip()}\n"
            f"More: sudo journalctl -u {unit} -e; state: systemctl status {unit}"
        )

    def enable(self, unit: Unit, check: bool) -> str:
        """Put the start at boot right; return `enabled`, `disabled` or `none`."""
        name = self.wanted.unit
        if self.wanted.enabled and unit.file_state == "static":
            raise ServiceError(
                f"{name} cannot be enabled: {unit.files[0]} has no [Install] section. Add\n"
                "[Install]\nWantedBy=multi-user.target\nor set enabled: false."
            )
        if self.wanted.enabled == (
            unit.file_state not in ("disabled", "enabled-runtime", "linked")
        ):
            return "none"
        if not self.wanted.enabled and unit.file_state != "enabled":
            return "none"
        if not check:
            self.systemctl("enable" if self.wanted.enabled else "disable", name)
        return "enabled" if self.wanted.enabled else "disabled"

    def converge(self, check: bool) -> Decision:
        """Bring the service to its wanted state. Raises ServiceError."""
        unit = self.show()
        if unit.load == "masked":
            raise ServiceError(
                f"{self.wanted.unit} is masked, so it cannot start: "
                f"systemctl unmask {self.wanted.unit}"
            )
        decision = decide(unit, self.wanted, read_stamp(self.wanted.unit))
        if not check and (unit.need_daemon_reload or unit.load != "loaded"):
            self.systemctl("daemon-reload")
            unit = self.show()
            if unit.load != "loaded":
                raise ServiceError(
                    f"systemd cannot load {self.wanted.unit} ({unit.load}): write "
                    f"/etc/systemd/system/{self.wanted.unit} before this task, and look at "
                    f"systemd-analyze verify {self.wanted.unit}"
                )
        enabling = self.enable(unit, check)
        if decision.action == "none":
            return decision if enabling == "none" else Decision(enabling, "start at boot")
        if check:
            return decision
        if decision.action == "started":
            self.act("start")
            # A start that was under way already may have read files that changed since.
            if decide(self.show(), self.wanted, 0).action == "restarted":
                self.act("restart")
        elif decision.action == "restarted":
            self.act("restart")
        else:
            changed, _ = newest(self.wanted.reload_on)
            self.act("reload")
            write_stamp(self.wanted.unit, changed)
        return decision


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "restart_on": {"type": "list", "elements": "path", "default": []},
            "reload_on": {"type": "list", "elements": "path", "default": []},
            "enabled": {"type": "bool", "default": True},
            "settle": {"type": "float", "default": 1.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    module.run_command_environ_update = {"LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    wanted = Wanted(
        unit=params["name"] if "." in params["name"] else f"{params['name']}.service",
        restart_on=tuple(map(Path, params["restart_on"])),
        reload_on=tuple(map(Path, params["reload_on"])),
        enabled=params["enabled"],
        settle=params["settle"],
    )
    try:
        decision = Service(wanted, module.run_command).converge(module.check_mode)
    except (ServiceError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=decision.action != "none", action=decision.action, reason=decision.reason
    )


if __name__ == "__main__":
    main()
