"""Stands in for systemctl, journalctl and busctl, with one unit whose state is a JSON file.

The state has the unit's properties, as `systemctl show` names them, and its behaviour:

started_ns        when the main process started (wall clock, nanoseconds)
on_start          what becomes of it: "die" or "crash loop", `after` so many seconds
refuses           the verb that fails
start_limit       a start is refused until reset-failed
joins_start       a start ends the one that is under way, whose process has started before
on_daemon_reload  properties that the unit gets when systemd reads its files
on_reload_write   a file that changes during a reload
journal           what the unit has logged
old               systemd before 251: whole seconds, in the host's zone
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

DIRECTORY = Path(os.environ["FAKE_SYSTEMD"])
STATE = DIRECTORY / "state.json"
UNKNOWN = {
    "LoadState": "not-found",
    "ActiveState": "inactive",
    "SubState": "dead",
    "UnitFileState": "",
    "NeedDaemonReload": "no",
    "CanReload": "yes",
    "NRestarts": 0,
    "Result": "success",
    "ExecMainStatus": 0,
}


def main() -> None:
    state = {**UNKNOWN, **(json.loads(STATE.read_text()) if STATE.exists() else {})}
    if Path(sys.argv[0]).name == "journalctl":
        assert "--unit=tool.service" in sys.argv
        print(state.get("journal", "-- No entries --"))
        return
    if Path(sys.argv[0]).name == "busctl":
        assert "/org/freedesktop/systemd1/unit/tool_2eservice" in sys.argv
        print(json.dumps({"type": "t", "data": state["started_ns"] // 1000}, separators=(",", ":")))
        return
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    verb = arguments[0]
    assert arguments[1:] in (["tool.service"], []), arguments
    with (DIRECTORY / "calls").open("a") as calls:
        calls.write(f"{verb}\n")
    if state.get("refuses") == verb or (verb == "start" and state.get("start_limit")):
        sys.exit(f"Job for tool.service failed.\nSee systemctl status ({verb}).")
    age_process(state)
    change(state, verb)
    if verb == "show":
        show(state)
    else:
        STATE.write_text(json.dumps(state))


def age_process(state: dict[str, Any]) -> None:
    """Let happen what happens to the process by itself."""
    age = (time.time_ns() - state.get("started_ns", 0)) / 10**9
    if state["ActiveState"] != "active" or age < state.get("after", 0):
        return
    if state.get("on_start") == "die":
        state.update(ActiveState="failed", SubState="failed", Result="exit-code", ExecMainStatus=2)
    elif state.get("on_start") == "crash loop":
        state["NRestarts"] += int(age / state["after"])


def change(state: dict[str, Any], verb: str) -> None:
    """Carry out a verb."""
    if verb == "daemon-reload":
        state.update(state.pop("on_daemon_reload", {}), NeedDaemonReload="no")
    elif verb in ("enable", "disable"):
        state["UnitFileState"] = f"{verb}d"
    elif verb == "reset-failed":
        state["start_limit"] = False
    elif verb in ("start", "restart"):
        if not state.pop("joins_start", False):
            state["started_ns"] = time.time_ns()
        state.update(ActiveState="active", SubState="running", Result="success", NRestarts=0)
    elif verb == "reload" and state.get("on_reload_write"):
        # So that the file is seen to be newer than the reload.
        time.sleep(0.02)
        Path(state["on_reload_write"]).write_text("newest")


def show(state: dict[str, Any]) -> None:
    """Print the properties that are asked for."""
    wanted = [a.removeprefix("--property=") for a in sys.argv if a.startswith("--property=")]
    for name in wanted[0].split(","):
        value = state.get(name, "")
        if name == "ExecMainStartTimestamp" and state.get("started_ns"):
            seconds, nanoseconds = divmod(state["started_ns"], 10**9)
            if state.get("old"):
                value = time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
            else:
                value = time.strftime("%a %Y-%m-%d %H:%M:%S", time.gmtime(seconds))
                if "--timestamp=us+utc" in sys.argv:
                    value += f".{nanoseconds // 1000:06}"
                value += " UTC"
        print(f"{name}={value}")


main()
