"""The drill: a backup is restored into scratch schemas, every table compared, and dropped."""

from __future__ import annotations

import time
from typing import Any

from labstack_backup import archive, saving, stores
from labstack_backup.common import MB, FailureError, Settings, free_mb, now
from labstack_backup.restoring import Scratch
from labstack_backup.status import Status


def drill(settings: Settings, backup: str | None = None) -> dict[str, Any]:
    """Restores a backup's databases into scratch schemas, compares each table, and drops them.

    Raises:
        FailureError: something differs; the backup's id is in it.
    """
    status, began = Status(settings), time.monotonic()
    try:
        store = stores.ensure(settings)
        store.repository.unlock()
        store.repository.check("25%")
        snapshot, note = store.find(backup)
        applications = {one.name: one for one in settings.all_applications()}
        needed = 3 * note["size"] // MB + settings.disk_min_mb
        if free_mb(settings.directory) < needed:
            raise FailureError(
                f"a drill needs {needed} MB of disk; {free_mb(settings.directory)} MB are free",
                "df -h",
            )
        with store.repository.read(snapshot) as stream:
            archive.check(stream)
        scratch = Scratch(applications, "_drill")
        try:
            with store.repository.read(snapshot) as stream:
                scratch.load(stream)
            scratch.compare(note)
        finally:
            scratch.drop()
    except BaseException:
        status.set(
            drill_success=0,
            drill_last_success_timestamp_seconds=status.values.get(
                "drill_last_success_timestamp_seconds", 0
            ),
        )
        raise
    seconds = round(time.monotonic() - began, 1)
    status.set(
        drill_success=1,
        drill_last_success_timestamp_seconds=time.time(),
        drill_duration_seconds=seconds,
    )
    store.add_note({**note, "drilled": now().isoformat()})
    return {**note, "seconds": seconds, "memory": saving.peak_memory()}


def drill_is_due(settings: Settings) -> bool:
    """Whether the last successful drill is as long ago as the settings say."""
    last = Status(settings).values.get("drill_last_success_timestamp_seconds", 0)
    return bool(time.time() - last > settings.drill_days * saving.DAY)
