"""Where backups are: stores/<name>/{restic,catalogue,key}; `current` leads to the one in use.

The controller keeps the same directories without the keys. A store never changes its name, which
comes from its repository, so stores of different hosts do not mix.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labstack_backup.common import FailureError, Settings, sync, write
from labstack_backup.restic import Repository, fingerprint


@dataclass(frozen=True)
class Store:
    """A repository with its key and the notes of its backups."""

    directory: Path

    @property
    def name(self) -> str:
        """Eight hexadecimal digits."""
        return self.directory.name

    @property
    def repository(self) -> Repository:
        """Its repository."""
        return Repository(str(self.directory / "restic"), self.directory / "key")

    def note(self, backup: str) -> Path:
        """Returns the file that says of a backup what it holds; it is written when that is done."""
        return self.directory / "catalogue" / f"{backup}.json"

    def notes(self) -> list[dict[str, Any]]:
        """Returns what is noted of each backup, the oldest first."""
        return [
            json.loads(path.read_text())
            for path in sorted((self.directory / "catalogue").glob("*.json"))
        ]

    def add_note(self, note: dict[str, Any]) -> None:
        """Writes what is to be known of a backup."""
        write(self.note(note["id"]), json.dumps(note, indent=1).encode() + b"\n")

    def find(self, backup: str | None) -> tuple[str, dict[str, Any]]:
        """Returns restic's id of a backup, and its note. None: the newest. Raises FailureError."""
        ids = {one.backup: one.id for one in self.repository.snapshots()}
        whole = {note["id"]: note for note in self.notes() if note["id"] in ids}
        chosen = backup or max(whole, default="")
        if chosen in whole:
            return ids[chosen], whole[chosen]
        if chosen in ids:
            raise FailureError(
                f"the backup {chosen} was cut short: it is no whole one", "./lab backups"
            )
        raise FailureError(
            f"there is no backup {chosen or 'yet'}", "./lab backups" if chosen else "./lab backup"
        )


def current(settings: Settings) -> Store | None:
    """Returns the store in use; None where there is none yet."""
    link = settings.directory / "current"
    return (
        Store(settings.directory / "stores" / link.readlink().name) if link.is_symlink() else None
    )


def use(settings: Settings, store: Store) -> None:
    """Makes a store the one in use."""
    new = settings.directory / ".current.new"
    new.unlink(missing_ok=True)
    new.symlink_to(f"stores/{store.name}")
    new.replace(settings.directory / "current")
    sync(settings.directory)


def secret(settings: Settings) -> bytes:
    """Returns the key that the host's secrets hold. Raises FailureError without one."""
    try:
        return settings.key_file.read_bytes().strip()
    except FileNotFoundError as error:
        raise FailureError(
            f"{settings.key_file} is missing: no key for the backups", "./lab up"
        ) from error


def ensure(settings: Settings) -> Store:
    """Returns the store in use, with the key of the secrets; makes it where there is none."""
    key = secret(settings)
    store = current(settings)
    if store:
        file = store.directory / "key"
        if file.read_bytes().strip() != key:
            store.repository.change_key(key + b"\n")
        return store
    return make(settings, key)


def make(settings: Settings, key: bytes, like: Repository | None = None) -> Store:
    """Makes a store and uses it; `like` another repository, whose backups it will get."""
    new = settings.directory / "stores" / ".new"
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(new)
    (new / "catalogue").mkdir(mode=0o700, parents=True)
    write(new / "key", key + b"\n")
    Repository(str(new / "restic"), new / "key").make(like)
    store = Store(new.with_name(fingerprint(new / "restic" / "config")))
    new.rename(store.directory)
    sync(store.directory.parent)
    use(settings, store)
    return store


def named(settings: Settings, name: str, key: bytes | None) -> Store:
    """Returns a store that the controller has brought, with its key, which is tried.

    Args:
        settings: the role's settings.
        name: the store's name.
        key: what the user gave; None where the host should know.

    Raises:
        FailureError: the store is not there, no key is known, or it opens nothing.
    """
    store = Store(settings.directory / "stores" / name)
    if not (store.directory / "restic" / "config").exists():
        raise FailureError(
            f"{store.directory} holds no repository: it was not copied to its end",
            "run the restore again",
        )
    file = store.directory / "key"
    if key:
        tried = store.directory / ".key.tried"
        write(tried, key.strip() + b"\n")
        try:
            Repository(str(store.directory / "restic"), tried).exists()
            tried.replace(file)
        finally:
            tried.unlink(missing_ok=True)
    elif not file.exists():
        raise FailureError(
            "these backups are another host's, and this one does not know their key",
            "LAB_BACKUP_KEY=... ./lab restore    # the key that the first ./lab backup showed",
        )
    (store.directory / "catalogue").mkdir(mode=0o700, exist_ok=True)
    store.repository.unlock()
    return store
