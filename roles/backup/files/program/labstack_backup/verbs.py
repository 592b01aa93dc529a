"""The verbs. What was done is one JSON object on standard output, what is wrong is on stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from labstack_backup import archive, drilling, restoring, saving, stores
from labstack_backup.common import SETTINGS, FailureError, Settings, locked, now
from labstack_backup.status import Status

_SHOWN = (
    "id",
    "time",
    "host",
    "address",
    "by",
    "reason",
    "rows",
    "size",
    "seconds",
    "memory",
    "checked",
    "drilled",
    "skipped",
)


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="backup")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="the role's file")
    verbs = parser.add_subparsers(dest="verb", required=True)
    save = verbs.add_parser("save", help="make a backup, and read it back")
    save.add_argument("--by", default=os.environ.get("SUDO_USER", "timer"))
    save.add_argument("--reason", default="")
    save.add_argument(
        "--scheduled", action="store_true", help="followed by a drill where one is due"
    )
    drill = verbs.add_parser("drill", help="restore into scratch schemas, compare, drop")
    drill.add_argument("id", nargs="?")
    verbs.add_parser("list", help="the backups on this host")
    verify = verbs.add_parser("verify", help="read and check everything")
    verify.add_argument("id", nargs="?")
    received = verbs.add_parser("received", help="note that the controller has a copy")
    received.add_argument("id")
    for name in ("prepare", "restore"):
        verb = verbs.add_parser(name)
        verb.add_argument("--id")
        verb.add_argument("--store", default="")
        verb.add_argument("--target", default="")
        verb.add_argument("--only", default="app,grafana,secrets")
        verb.add_argument("--key-on-stdin", action="store_true")
    return parser.parse_args(given)


def _store(settings: Settings, given: argparse.Namespace) -> stores.Store:
    key = sys.stdin.buffer.readline().strip() if given.key_on_stdin else None
    if given.target and given.verb == "prepare":
        return saving.fetch(settings, given.target, key or None, given.id)
    if given.store:
        return stores.named(settings, given.store, key or None)
    store = stores.current(settings)
    if store is None:
        raise FailureError("there is no backup on this host yet", "./lab backup")
    store.repository.unlock()
    return store


def _act(settings: Settings, given: argparse.Namespace) -> dict[str, Any]:
    saving.remove_leftovers(settings)
    if given.verb == "save":
        note = saving.save(settings, given.by, given.reason)
        for one in note["skipped"]:
            print(f"backup: left out: {one}", file=sys.stderr)
        if given.scheduled and drilling.drill_is_due(settings):
            drilling.drill(settings)
        store = stores.current(settings)
        return {**_short(note), "store": store.name if store else ""}
    if given.verb == "drill":
        return _short(drilling.drill(settings, given.id))
    if given.verb == "received":
        Status(settings).set(last_success_timestamp_seconds={"controller": time.time()})
        return {}
    if given.verb in ("prepare", "restore"):
        only = given.only.split(",")
        store = _store(settings, given)
        act = restoring.prepare if given.verb == "prepare" else restoring.restore
        return {**_short(act(settings, store, given.id, only)), "store": store.name}
    store = stores.ensure(settings)
    if given.verb == "verify":
        store.repository.unlock()
        store.repository.check("100%")
        snapshot, note = store.find(given.id)
        with store.repository.read(snapshot) as stream:
            archive.check(stream)
        store.add_note({**note, "checked": now().isoformat()})
        return _short(note)
    return {"store": store.name, "backups": [_short(note) for note in store.notes()]}


def _short(note: dict[str, Any]) -> dict[str, Any]:
    return {name: note[name] for name in _SHOWN if name in note}


def main(given: list[str]) -> int:
    """Runs a verb; returns the exit status."""
    arguments = _arguments(given)
    os.umask(0o077)
    try:
        settings = Settings.load(arguments.settings)
        with locked(settings.directory):
            print(json.dumps(_act(settings, arguments)))
    except FailureError as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"backup: {error}\n-> df -h; sudo dmesg | tail", file=sys.stderr)
        return 1
    return 0
