"""A restic repository: what is asked of it, and what its refusals mean."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from labstack_backup.common import FailureError, end, run, said, start

ARCHIVE = "labstack.tar"
# Go's collector runs when the heap has grown by a fifth, not when it has doubled, and uses one
# processor: less memory for some more time (docs/adr/0060).
FRUGAL = {"GOGC": "20", "GOMAXPROCS": "1"}
# What restic says, and what it means here.
_CAUSES = (
    (
        "wrong password or no key found",
        "the key does not open these backups",
        "give the key that was shown at the first ./lab backup of the host that made them",
    ),
    (
        "no space left on device",
        "the disk is full",
        "see what fills it: df -h; sudo du -xh / | sort -h | tail",
    ),
    (
        "ciphertext verification failed",
        "the backup is damaged: a bit has changed",
        "take another: ./lab backups",
    ),
    ("hash mismatch", "the backup is damaged: a bit has changed", "take another: ./lab backups"),
    (
        "invalid data returned",
        "the backup is damaged: a bit has changed",
        "take another: ./lab backups",
    ),
    (
        "not found in index",
        "the backup is incomplete: a part of it is missing",
        "take another: ./lab backups",
    ),
    (
        "not found in repository",
        "the backup is incomplete: a part of it is missing",
        "take another: ./lab backups",
    ),
    (
        "no such file or directory",
        "the backup is incomplete: a part of it is missing",
        "take another: ./lab backups",
    ),
    ("connection refused", "the target does not answer", "check its address in backup_targets"),
    ("no such host", "the target's name is not known", "check its address in backup_targets"),
    (
        "Access Denied",
        "the target refuses the credentials",
        "check backup_targets, and their bucket policy",
    ),
    (
        "repository is already locked",
        "another restic works on this repository",
        "wait for it, then run again",
    ),
)
# What it says where there is no repository yet.
_ABSENT = ("Is there a repository", "repository does not exist", "NoSuchBucket")


def explain(text: str) -> FailureError:
    """Returns restic's refusal as ours."""
    for words, what, do in _CAUSES:
        if words.lower() in text.lower():
            return FailureError(f"{what} (restic: {text.splitlines()[-1][:300]})", do)
    return FailureError(
        f"restic failed: {text or 'it was killed'}",
        "if memory is short: free -m; sudo journalctl -k | grep -i oom",
    )


@dataclass(frozen=True)
class Snapshot:
    """A snapshot: restic's id, ours (its tag), and when it was made."""

    id: str
    backup: str
    time: str


@dataclass(frozen=True)
class Repository:
    """A repository.

    Attributes:
        url: a directory, or any other that restic knows.
        key_file: the file with its key.
        environment: what its backend needs: credentials.
    """

    url: str
    key_file: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The environment for restic; what is secret stands in no command line."""
        home = str(self.key_file.parent)
        return {
            "HOME": home,
            "RESTIC_REPOSITORY": self.url,
            "RESTIC_PASSWORD_FILE": str(self.key_file),
            **FRUGAL,
            **self.environment,
        }

    def _restic(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        try:
            return run(
                ["restic", "--no-cache", *arguments], {**self.variables, **(environment or {})}
            )
        except FailureError as error:
            if "is missing on this host" in str(error):
                raise
            raise explain(str(error).partition("failed: ")[2]) from error

    def exists(self) -> bool:
        """Whether a repository is there. Raises FailureError for a wrong key, or no answer."""
        process = start(["restic", "--no-cache", "cat", "config"], self.variables)
        process.communicate()
        text = said(process)
        if process.returncode == 0:
            return True
        if any(words in text for words in _ABSENT):
            return False
        raise explain(text)

    def make(self, like: Repository | None = None) -> None:
        """Makes the repository; `like` another, so that copies have the same pieces."""
        if like is None:
            self._restic("init")
        else:
            self._restic(
                "init",
                "--copy-chunker-params",
                "--from-repo",
                like.url,
                "--from-password-file",
                str(like.key_file),
                environment=like.environment,
            )

    def unlock(self) -> None:
        """Removes locks that killed processes have left.

        All of them: this program holds the lock of its directory, so nobody else works here; but
        a restic that was just killed may not be gone yet, and would count as alive.
        """
        self._restic("unlock", "--remove-all")

    def snapshots(self) -> list[Snapshot]:
        """Returns its backups, the oldest first."""
        rows: list[dict[str, Any]] = (
            json.loads(self._restic("snapshots", "--json", "--no-lock") or "[]") or []
        )
        found = [
            Snapshot(row["id"], tag.removeprefix("id:"), row["time"])
            for row in rows
            for tag in row.get("tags") or []
            if tag.startswith("id:")
        ]
        return sorted(found, key=lambda one: one.backup)

    def save(self, backup: str, host: str, fill: Callable[[IO[bytes]], None]) -> None:
        """Saves what `fill` writes as a snapshot; where it raises, there is none."""
        command = [
            "restic",
            "--no-cache",
            "backup",
            "--quiet",
            "--stdin",
            "--stdin-filename",
            ARCHIVE,
            "--host",
            host,
            "--tag",
            f"id:{backup}",
        ]
        process = start(command, self.variables, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert process.stdin
        try:
            fill(process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            # It has said why, and closes its input before it ends.
            process.wait()
            end(process)
            raise explain(said(process)) from None
        except BaseException:
            # The end of its input would be the end of a backup to it.
            end(process)
            raise
        if process.wait() != 0:
            raise explain(said(process))

    @contextlib.contextmanager
    def read(self, snapshot: str) -> Iterator[IO[bytes]]:
        """Yields the archive of a snapshot as a stream."""
        command = ["restic", "--no-cache", "--no-lock", "dump", snapshot, f"/{ARCHIVE}"]
        process = start(command, self.variables)
        assert process.stdout
        try:
            yield process.stdout
            # What is left is padding; restic must get to its end to say that all was well.
            while process.stdout.read(1 << 20):
                pass
        except BaseException as error:
            early = process.poll()
            if early is None and isinstance(error, FailureError | OSError):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    early = process.wait(timeout=5)
            end(process)
            # restic's own reason explains what we missed.
            if early not in (None, 0) and said(process):
                raise explain(said(process)) from error
            raise
        if process.wait() != 0:
            raise explain(said(process))

    def check(self, subset: str) -> None:
        """Reads and checks a part of the data, as "25%", and how everything hangs together."""
        self._restic("check", "--read-data-subset", subset)

    def forget(self, *snapshots: str) -> None:
        """Removes snapshots by restic's ids."""
        self._restic("forget", *snapshots)

    def retain(self, keep: dict[str, int], prune: bool) -> None:
        """Keeps so many hourly, daily and weekly backups, and the last six whatever their hour."""
        rules = [
            text
            for name in ("hourly", "daily", "weekly")
            for text in (f"--keep-{name}", str(keep[name]))
        ]
        self._restic(
            "forget",
            "--group-by",
            "",
            "--keep-last",
            "6",
            *rules,
            *(["--prune", "--max-unused", "10%"] if prune else []),
        )

    def copy_from(self, other: Repository, *snapshots: str) -> None:
        """Copies snapshots from another repository; those that are here already cost nothing."""
        self._restic(
            "copy",
            "--from-repo",
            other.url,
            "--from-password-file",
            str(other.key_file),
            *snapshots,
            environment=other.environment,
        )

    def change_key(self, new: bytes) -> None:
        """Makes the repository open with another key, and no longer with that of `key_file`."""
        file = self.key_file.with_name(".key.wanted")
        file.write_bytes(new)
        file.chmod(0o600)
        self._restic("key", "passwd", "--new-password-file", str(file))
        file.replace(self.key_file)


def fingerprint(config: Path) -> str:
    """Returns the name of a store: eight digits of its config's SHA-256."""
    return hashlib.sha256(config.read_bytes()).hexdigest()[:8]
