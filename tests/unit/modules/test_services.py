"""The process of a service, with a stand-in for systemctl that keeps its state in files.

The stand-in behaves as systemd does where the module looks; the roles' Molecule scenarios run the
module against the real one.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.module_utils import services
from ansible_collections.labstack.stack.plugins.module_utils.services import (
    Unit,
    Wanted,
    decide,
    newest,
    parse_show,
    parse_timestamp,
)
from ansible_collections.labstack.stack.plugins.modules import service

from tests.unit.conftest import RunModule

SYSTEMCTL = Path(__file__).with_name("fake_systemctl.py")


class Systemd:
    """The stand-in's state: one unit, `tool.service`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.unit_file = directory / "tool.service"
        self.calls_file = directory / "calls"
        self.state_file = directory / "state.json"

    def set(self, **state: Any) -> None:
        """Change properties of the unit, as `systemctl show` has them, or its behaviour."""
        self.state_file.write_text(json.dumps({**self.state, **state}))

    @property
    def state(self) -> dict[str, Any]:
        if not self.state_file.exists():
            return {}
        state: dict[str, Any] = json.loads(self.state_file.read_text())
        return state

    def install(self, **state: Any) -> None:
        """Add the unit: loaded, stopped, not enabled."""
        self.unit_file.write_text("[Service]\n")
        self.set(
            LoadState="loaded",
            ActiveState="inactive",
            SubState="dead",
            UnitFileState="disabled",
            FragmentPath=str(self.unit_file),
            **state,
        )

    def start(self, **state: Any) -> None:
        """Add the unit: running and enabled, started now."""
        self.install()
        tick()
        self.set(
            ActiveState="active",
            SubState="running",
            UnitFileState="enabled",
            started_ns=time.time_ns(),
            **state,
        )
        tick()

    def calls(self) -> list[str]:
        """Return the verbs of systemctl since the last call of this function, without `show`."""
        verbs = [verb for verb in self.all_calls() if verb != "show"]
        self.calls_file.unlink(missing_ok=True)
        return verbs

    def all_calls(self) -> list[str]:
        return self.calls_file.read_text().split() if self.calls_file.exists() else []


def tick() -> None:
    """Wait until the kernel's clock for files has moved on."""
    clock = getattr(time, "CLOCK_REALTIME_COARSE", 5)
    before = time.clock_gettime_ns(clock)
    while time.clock_gettime_ns(clock) <= before:
        time.sleep(0.0005)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("systemctl", "journalctl", "busctl"):
        (programs / name).write_text(f"#!{sys.executable} -IS\n{SYSTEMCTL.read_text()}")
        (programs / name).chmod(0o755)
    directory = tmp_path / "systemd"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SYSTEMD", str(directory))
    monkeypatch.setattr(services, "_STAMPS", tmp_path / "run" / "labstack")
    monkeypatch.setattr(services, "_DROP_INS", tmp_path / "etc")
    (tmp_path / "run").mkdir()
    return Systemd(directory)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a directory with the files `restart` and `reload`."""
    directory = tmp_path / "files"
    directory.mkdir()
    for name in ("restart", "reload"):
        (directory / name).write_text("old")
    return directory


Converge = Callable[..., dict[str, Any]]


@pytest.fixture
def converge(run_module: RunModule, systemd: Systemd, files: Path) -> Converge:
    """Return converge(check=False, **options) -> the module's result."""

    def run(*, check: bool = False, **options: Any) -> dict[str, Any]:
        assert systemd
        wanted = {
            "name": "tool",
            "restart_on": [str(files / "restart")],
            "reload_on": [str(files / "reload")],
            "settle": 0,
            **options,
        }
        return run_module(service.main, wanted, check=check)

    return run


# --- Every state leads to a service that runs -------------------------------------------------


def test_a_stopped_service_is_started_and_enabled(systemd: Systemd, converge: Converge) -> None:
    systemd.install()
    result = converge()
    assert (result["changed"], result["action"]) == (True, "started")
    assert systemd.calls() == ["enable", "reset-failed", "start"]
    assert systemd.state["ActiveState"] == "active"


def test_nothing_to_do_asks_systemd_once(systemd: Systemd, converge: Converge) -> None:
    systemd.start()
    result = converge()
    assert (result["changed"], result["action"]) == (False, "none")
    assert systemd.all_calls() == ["show"]


def test_the_second_run_changes_nothing(systemd: Systemd, converge: Converge, files: Path) -> None:
    """The files are written right before the service starts, as on a first run."""
    systemd.install()
    for name in ("restart", "reload"):
        (files / name).write_text("new")
    assert converge()["action"] == "started"
    assert converge()["action"] == "none"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Lima"])
def test_a_systemd_that_shows_whole_seconds_of_the_hosts_zone(
    zone: str,
    systemd: Systemd,
    converge: Converge,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Ubuntu 22.04. A file of the same second is older than the process, or newer."""
    monkeypatch.setenv("TZ", zone)
    systemd.start(old=True)
    (files / "restart").write_text("new")
    assert converge()["action"] == "restarted"
    result = converge()
    assert (result["changed"], result["action"]) == (False, "none")


def test_a_new_unit_makes_systemd_read_its_files(systemd: Systemd, converge: Converge) -> None:
    systemd.unit_file.write_text("[Service]\n")
    systemd.set(
        on_daemon_reload={
            "LoadState": "loaded",
            "UnitFileState": "disabled",
            "FragmentPath": str(systemd.unit_file),
        }
    )
    assert converge()["action"] == "started"
    assert systemd.calls() == ["daemon-reload", "enable", "reset-failed", "start"]


def test_a_failed_service_is_started(systemd: Systemd, converge: Converge) -> None:
    """Also after so many crashes that systemd would refuse."""
    systemd.install(start_limit=True)
    systemd.set(ActiveState="failed", SubState="failed", Result="exit-code")
    assert converge()["action"] == "started"


def test_a_service_between_two_crashes_is_started(systemd: Systemd, converge: Converge) -> None:
    systemd.start()
    systemd.set(ActiveState="activating", SubState="auto-restart", NRestarts=7)
    assert converge()["action"] == "started"


def test_a_start_under_way_that_read_an_old_file_is_followed_by_a_restart(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    systemd.start()
    (files / "reload").write_text("new")
    systemd.set(ActiveState="activating", SubState="start", joins_start=True)
    assert converge()["action"] == "started"
    assert systemd.calls() == ["reset-failed", "start", "reset-failed", "restart"]


@pytest.mark.parametrize("name", ["tool", "tool.service"])
def test_the_suffix_may_be_left_out(name: str, systemd: Systemd, converge: Converge) -> None:
    systemd.start()
    assert converge(name=name)["action"] == "none"


# --- Restart and reload -----------------------------------------------------------------------


def test_a_newer_file_restarts(systemd: Systemd, converge: Converge, files: Path) -> None:
    systemd.start()
    (files / "restart").write_text("new")
    result = converge()
    assert (result["changed"], result["action"]) == (True, "restarted")
    assert result["reason"] == f"{files / 'restart'} is newer than the process"
    assert systemd.calls() == ["reset-failed", "restart"]
    assert converge()["action"] == "none"


def test_a_newer_file_reloads_once(systemd: Systemd, converge: Converge, files: Path) -> None:
    systemd.start()
    (files / "reload").write_text("new")
    result = converge()
    assert (result["changed"], result["action"]) == (True, "reloaded")
    assert systemd.calls() == ["reload"]
    assert converge()["action"] == "none"
    tick()
    (files / "reload").write_text("newer")
    assert converge()["action"] == "reloaded"


def test_a_restart_wins_over_a_reload(systemd: Systemd, converge: Converge, files: Path) -> None:
    systemd.start()
    for name in ("reload", "restart"):
        (files / name).write_text("new")
    assert converge()["action"] == "restarted"
    assert systemd.calls() == ["reset-failed", "restart"]
    assert converge()["action"] == "none"


def test_a_unit_that_cannot_reload_is_restarted(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    systemd.start(CanReload="no")
    (files / "reload").write_text("new")
    assert converge()["action"] == "restarted"
    assert converge()["action"] == "none"


def test_a_file_that_changes_during_a_reload_reloads_again(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    systemd.start(on_reload_write=str(files / "reload"))
    (files / "reload").write_text("new")
    assert converge()["action"] == "reloaded"
    systemd.set(on_reload_write="")
    assert converge()["action"] == "reloaded"
    assert converge()["action"] == "none"


def test_a_reload_before_the_last_start_counts_no_more(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    systemd.start()
    (files / "reload").write_text("new")
    converge()
    tick()
    systemd.set(started_ns=time.time_ns())
    assert converge()["action"] == "none"
    tick()
    (files / "reload").write_text("newer")
    assert converge()["action"] == "reloaded"


@pytest.mark.parametrize("damage", ["missing", "empty", "no number"])
def test_without_a_stamp_it_reloads_rather_than_not(
    damage: str, systemd: Systemd, converge: Converge, files: Path
) -> None:
    systemd.start()
    (files / "reload").write_text("new")
    converge()
    stamp = services.stamp_path("tool.service")
    if damage == "missing":
        stamp.unlink()
    else:
        stamp.write_text("" if damage == "empty" else "x")
    assert converge()["action"] == "reloaded"


def test_a_failed_reload_is_tried_again(systemd: Systemd, converge: Converge, files: Path) -> None:
    systemd.start(refuses="reload")
    (files / "reload").write_text("new")
    assert converge()["failed"] is True
    systemd.set(refuses="")
    assert converge()["action"] == "reloaded"


def test_a_new_mode_counts_as_a_change(systemd: Systemd, converge: Converge, files: Path) -> None:
    systemd.start()
    (files / "restart").chmod(0o600)
    assert converge()["action"] == "restarted"


def test_a_renamed_file_counts_however_old_its_content_is(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    (files / "prepared").write_text("new")
    os.utime(files / "prepared", (0, 0))
    systemd.start()
    (files / "prepared").replace(files / "restart")
    assert converge()["action"] == "restarted"


def test_a_file_read_or_touched_by_nobody_counts_not(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    systemd.start()
    (files / "restart").read_text()
    assert converge()["action"] == "none"


def test_a_unit_in_the_path_of_the_bus() -> None:
    assert services.bus_label("grafana-server.service") == "grafana_2dserver_2eservice"
    assert services.bus_label("9p.mount") == "_39p_2emount"


def test_missing_files_are_ignored(systemd: Systemd, converge: Converge, files: Path) -> None:
    systemd.start()
    assert converge(restart_on=[str(files / "missing" / "x")])["action"] == "none"


def test_a_directory_counts_with_all_that_is_in_it(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    deep = files / "deep" / "down"
    deep.mkdir(parents=True)
    (deep / "file").write_text("old")
    systemd.start()
    assert converge(restart_on=[str(files / "deep")])["action"] == "none"
    (deep / "file").write_text("new")
    assert converge(restart_on=[str(files / "deep")])["action"] == "restarted"
    tick()
    (deep / "file").unlink()
    assert converge(restart_on=[str(files / "deep")])["action"] == "restarted"
    assert converge(restart_on=[str(files / "deep")])["action"] == "none"


def test_a_link_counts_and_so_does_its_target(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    (files / "current").symlink_to("restart")
    systemd.start()
    wanted = {"restart_on": [str(files / "current")], "reload_on": []}
    assert converge(**wanted)["action"] == "none"
    (files / "restart").write_text("new")
    assert converge(**wanted)["action"] == "restarted"
    tick()
    (files / "current").unlink()
    (files / "current").symlink_to("reload")
    assert converge(**wanted)["action"] == "restarted"
    assert converge(**wanted)["action"] == "none"


# --- The unit's own files ---------------------------------------------------------------------


def test_a_changed_unit_file_restarts(systemd: Systemd, converge: Converge) -> None:
    systemd.start()
    systemd.unit_file.write_text("[Service]\n# new\n")
    systemd.set(NeedDaemonReload="yes")
    assert converge()["action"] == "restarted"
    assert systemd.calls() == ["daemon-reload", "reset-failed", "restart"]
    assert converge()["action"] == "none"


def test_a_run_killed_after_the_daemon_reload_is_healed(
    systemd: Systemd, converge: Converge
) -> None:
    """systemd no longer says that the unit has changed, its file's time still does."""
    systemd.start()
    systemd.unit_file.write_text("[Service]\n# new\n")
    systemd.set(NeedDaemonReload="no")
    assert converge()["action"] == "restarted"


def test_a_new_drop_in_restarts(systemd: Systemd, converge: Converge, tmp_path: Path) -> None:
    systemd.start()
    drop_in = tmp_path / "etc" / "tool.service.d" / "memory.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\n")
    systemd.set(DropInPaths=f"/usr/lib/none.conf {drop_in}", NeedDaemonReload="yes")
    assert converge()["action"] == "restarted"
    assert converge()["action"] == "none"


def test_a_removed_drop_in_restarts_even_after_a_lost_run(
    systemd: Systemd, converge: Converge, tmp_path: Path
) -> None:
    drop_in = tmp_path / "etc" / "tool.service.d" / "memory.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\n")
    systemd.start()
    drop_in.unlink()
    assert converge()["action"] == "restarted"
    assert converge()["action"] == "none"


def test_what_systemd_generates_anew_restarts_nothing() -> None:
    unit = parse_show(
        "FragmentPath=/run/systemd/generator.late/old.service\nDropInPaths=/etc/a.conf /etc/b.conf"
    )
    assert unit.files == (Path("/etc/a.conf"), Path("/etc/b.conf"))


# --- Start at boot ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "enabled", "verb"),
    [
        ("disabled", True, "enable"),
        ("linked", True, "enable"),
        ("enabled-runtime", True, "enable"),
        ("enabled", True, None),
        ("generated", True, None),
        ("enabled", False, "disable"),
        ("disabled", False, None),
        ("static", False, None),
    ],
)
def test_start_at_boot(
    state: str, enabled: bool, verb: str | None, systemd: Systemd, converge: Converge
) -> None:
    systemd.start()
    systemd.set(UnitFileState=state)
    result = converge(enabled=enabled)
    assert result["action"] == (f"{verb}d" if verb else "none")
    assert result["changed"] is bool(verb)
    assert systemd.calls() == ([verb] if verb else [])


def test_a_restart_is_told_before_enabling(
    systemd: Systemd, converge: Converge, files: Path
) -> None:
    systemd.start()
    systemd.set(UnitFileState="disabled")
    (files / "restart").write_text("new")
    assert converge()["action"] == "restarted"
    assert systemd.calls() == ["enable", "reset-failed", "restart"]


def test_a_unit_that_cannot_be_enabled(systemd: Systemd, converge: Converge) -> None:
    systemd.start()
    systemd.set(UnitFileState="static")
    message = converge()["msg"]
    assert "[Install]\nWantedBy=multi-user.target" in message
    assert "enabled: false" in message


# --- A service must stay up -------------------------------------------------------------------


def test_a_service_that_dies_within_settle_shows_its_journal(
    systemd: Systemd, converge: Converge
) -> None:
    systemd.install(on_start="die", after=0.15, journal="tool: bad option --colour")
    result = converge(settle=10)
    assert result["failed"] is True
    assert "tool.service did not stay up" in result["msg"]
    assert "exit status 2" in result["msg"]
    assert "tool: bad option --colour" in result["msg"]
    assert "sudo journalctl -e -u tool.service" in result["msg"]


def test_a_service_that_systemd_starts_again_fails(systemd: Systemd, converge: Converge) -> None:
    systemd.install(on_start="crash loop", after=0.15)
    message = converge(settle=10)["msg"]
    assert "did not stay up for 10 s" in message
    # How often by then is up to the machine's load.
    assert re.search(r"restarted by systemd \d+ times", message)


def test_a_crash_loop_is_found_by_the_next_run_too(systemd: Systemd, converge: Converge) -> None:
    """The run that started it was killed; at this moment the service happens to be up."""
    systemd.start(on_start="crash loop", after=0.2)
    systemd.set(NRestarts=1)
    assert "did not stay up" in converge(settle=10)["msg"]


def test_a_service_that_stays_up_is_watched_for_settle(
    systemd: Systemd, converge: Converge
) -> None:
    systemd.install(on_start="die", after=30)
    before = time.monotonic()
    assert converge(settle=0.4)["action"] == "started"
    assert time.monotonic() - before >= 0.4


def test_a_service_that_does_not_start(systemd: Systemd, converge: Converge) -> None:
    systemd.install(refuses="start", journal="Failed at step USER spawning /usr/bin/tool")
    message = converge()["msg"]
    assert "tool.service did not start: Job for tool.service failed" in message
    assert "Failed at step USER" in message


def test_a_failed_restart_is_tried_again(systemd: Systemd, converge: Converge, files: Path) -> None:
    systemd.start(refuses="restart")
    (files / "restart").write_text("new")
    assert converge()["failed"] is True
    systemd.set(refuses="")
    assert converge()["action"] == "restarted"


def test_a_masked_unit(systemd: Systemd, converge: Converge) -> None:
    systemd.install()
    systemd.set(LoadState="masked")
    assert "systemctl unmask tool.service" in converge()["msg"]


def test_an_unknown_unit(systemd: Systemd, converge: Converge) -> None:
    message = converge()["msg"]
    assert "There is no unit tool.service: write /etc/systemd/system/tool.service" in message
    assert systemd.calls() == ["daemon-reload"]


def test_a_unit_file_with_a_fault(systemd: Systemd, converge: Converge) -> None:
    systemd.install()
    systemd.set(LoadState="bad-setting")
    assert "systemd-analyze verify tool.service" in converge()["msg"]


def test_a_host_without_systemd(systemd: Systemd, converge: Converge) -> None:
    systemd.install(refuses="show")
    assert "systemctl show tool.service failed: Job for tool.service" in converge()["msg"]


# --- Check mode -------------------------------------------------------------------------------


def test_check_mode_with_an_unknown_unit(systemd: Systemd, converge: Converge) -> None:
    result = converge(check=True)
    assert (result["changed"], result["action"]) == (True, "started")
    assert systemd.all_calls() == ["show"]


@pytest.mark.parametrize("name", ["restart", "reload"])
def test_check_mode_tells_and_does_nothing(
    name: str, systemd: Systemd, converge: Converge, files: Path
) -> None:
    systemd.start()
    systemd.set(NeedDaemonReload="no")
    (files / name).write_text("new")
    result = converge(check=True)
    assert (result["changed"], result["action"]) == (True, f"{name}ed")
    assert systemd.all_calls() == ["show"]
    assert not services.stamp_path("tool.service").exists()


def test_check_mode_with_a_changed_unit_file(systemd: Systemd, converge: Converge) -> None:
    systemd.start()
    systemd.set(NeedDaemonReload="yes")
    assert converge(check=True)["action"] == "restarted"
    assert systemd.all_calls() == ["show"]


def test_check_mode_tells_of_the_start_at_boot(systemd: Systemd, converge: Converge) -> None:
    systemd.start()
    systemd.set(UnitFileState="disabled")
    assert converge(check=True)["action"] == "enabled"
    assert systemd.all_calls() == ["show"]


# --- Clocks -----------------------------------------------------------------------------------


def test_systemds_timestamps() -> None:
    assert parse_timestamp("Thu 1970-01-01 00:00:01.000002 UTC") == 1_000_002_000
    assert parse_timestamp("Tue 2026-11-24 02:35:11.123456 UTC") == 1795487711_123456000
    assert parse_timestamp("Tue 2026-11-24 02:35:11 UTC") == 1795487711_000000000
    assert parse_timestamp("") == 0
    assert parse_timestamp("n/a") == 0


def test_a_unit_without_a_main_process_counts_from_its_activation() -> None:
    unit = parse_show(
        "ExecMainStartTimestamp=\nActiveEnterTimestamp=Thu 1970-01-01 00:00:01.000002 UTC\n"
    )
    assert unit.started_ns == 1_000_002_000


def test_a_file_written_right_before_the_start_is_never_newer(files: Path) -> None:
    """The kernel's time for files may lag behind a tick, so it cannot be ahead of the process."""
    path = files / "restart"
    wanted = Wanted("tool.service", restart_on=(path,))
    for number in range(500):
        (files / "prepared").write_text(str(number))
        (files / "prepared").replace(path)
        # systemd keeps microseconds.
        started_ns = time.time_ns() // 1000 * 1000
        assert decide(Unit(started_ns=started_ns), wanted, 0).action == "none"


def test_a_file_written_a_tick_after_the_start_is_newer(files: Path) -> None:
    path = files / "restart"
    wanted = Wanted("tool.service", restart_on=(path,))
    for number in range(50):
        started_ns = time.time_ns() // 1000 * 1000
        tick()
        path.write_text(str(number))
        assert decide(Unit(started_ns=started_ns), wanted, 0).action == "restarted"


def test_the_second_of_a_change_decides_nothing(files: Path) -> None:
    """A process that started in the second of the change, before or after it."""
    changed_ns, path = newest([files / "restart"])
    wanted = Wanted("tool.service", restart_on=(path,))
    assert decide(Unit(started_ns=changed_ns - 1), wanted, 0).action == "restarted"
    assert decide(Unit(started_ns=changed_ns), wanted, 0).action == "none"
    assert decide(Unit(started_ns=changed_ns + 1), wanted, 0).action == "none"


def test_a_clock_that_was_set_back_hides_no_change(files: Path) -> None:
    """The last reload took in a file of a later time than that of the new file."""
    changed_ns, path = newest([files / "reload"])
    wanted = Wanted("tool.service", reload_on=(path,))
    unit = Unit(started_ns=changed_ns - 10)
    assert decide(unit, wanted, changed_ns + 10**12).action == "reloaded"


def test_a_file_of_the_future_is_warned_about(
    systemd: Systemd, converge: Converge, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd.start()
    (files / "restart").write_text("new")
    assert converge()["warnings"] == []
    tick()
    (files / "restart").write_text("newer")
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    (warning,) = converge()["warnings"]
    assert "the clock was set back" in warning
    assert f"touch {files}" in warning


# --- Timers -----------------------------------------------------------------------------------


def timer_and_service(files: Path, need_daemon_reload: str) -> Callable[..., tuple[int, str, str]]:
    """Return a systemctl that knows a timer and what it starts."""
    started = "ActiveEnterTimestamp=Tue 2026-11-24 02:35:11.000001 UTC"
    common = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nCanReload=no"
    answers = {
        "tool.timer": f"{common}\n{started}\nTriggers=tool.service\nNeedDaemonReload=no",
        "tool.service": "LoadState=loaded\nActiveState=inactive\n"
        f"FragmentPath={files / 'restart'}\nNeedDaemonReload={need_daemon_reload}",
    }
    return lambda command: (0, answers.get(command[-1], ""), "")


@pytest.mark.parametrize(("age", "action"), [(10**12, "restarted"), (0, "none")])
def test_a_timer_starts_anew_when_the_unit_that_it_starts_has_changed(
    age: int, action: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = services.Service(Wanted("tool.timer"), timer_and_service(files, "no"))
    started = timer.show().started_ns
    monkeypatch.setattr(services, "newest", lambda *_: (started + age - 1, files / "restart"))
    assert timer.converge(check=True).action == action
    assert files / "restart" in timer.show().files


def test_systemd_reads_the_unit_again_that_a_timer_starts(files: Path) -> None:
    timer = services.Service(Wanted("tool.timer"), timer_and_service(files, "yes"))
    assert timer.show().need_daemon_reload
