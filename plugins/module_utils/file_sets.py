"""Directories and files as one set: all valid and in place, or nothing has changed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .host_files import (
    TEMPORARY_PREFIX,
    Attributes,
    account_number,
    make_directory,
    sweep,
    sync_directory,
    temporary_path,
    write_new,
)

_VALIDATE_TIMEOUT = 120  # seconds
# Where units are that a program has been told to check by nobody.
_UNITS = Path("/etc/systemd/system")
_UNIT_KINDS = frozenset({".service", ".timer", ".socket", ".path", ".mount", ".swap", ".target"})
_OWN_ERRORS_ONLY = "--recursive-errors=no"
_UNIT_CHECK = ("systemd-analyze", "verify", "--man=no", _OWN_ERRORS_ONLY, "%s")


class FileSetError(Exception):
    """A message for the user."""


@dataclass(frozen=True)
class Directory:
    """A directory that must exist."""

    path: Path
    attributes: Attributes


@dataclass(frozen=True)
class File:
    """A file that must exist with a content."""

    path: Path
    content: bytes
    attributes: Attributes
    secret: bool = False
    validate: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSet:
    """All that the module is asked for."""

    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    absent: tuple[Path, ...] = ()


@dataclass
class Outcome:
    """What the module returns."""

    changed_files: list[str] = field(default_factory=list)
    unvalidated: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)

    def note(self, path: Path, before: str, after: str) -> None:
        """Note a change and its diff."""
        self.changed_files.append(str(path))
        header = str(path)
        self.diff.append(
            {"before": before, "after": after, "before_header": header, "after_header": header}
        )


def parse_owner(name: str | None, kind: str, path: str, check: bool) -> int:
    """Return the number of a user or a group (`kind`); -1 for one that check mode does not know.

    Raises FileSetError.
    """
    if name is None:
        return os.geteuid() if kind == "user" else os.getegid()
    try:
        return account_number(name, kind, check)
    except LookupError:
        raise FileSetError(
            f"There is no {kind} '{name}' to give {path} to: create it before this task "
            f"(ansible.builtin.{kind}: {{name: {name}}}), or correct the name."
        ) from None


def parse_attributes(entry: dict[str, Any], default_mode: str, check: bool) -> Attributes:
    """Read owner, group and mode of an entry. Raises FileSetError."""
    mode = entry["mode"] or default_mode
    path = entry.get("dest") or entry["path"]
    # Four digits: YAML reads an unquoted 0644 as the number 420.
    if not re.fullmatch(r"[0-7]{4}", mode):
        raise FileSetError(
            f"mode of {path} is {mode}: write four octal digits in quotes, as "
            f'mode: "{default_mode}".'
        )
    return Attributes(
        uid=parse_owner(entry["owner"], "user", path, check),
        gid=parse_owner(entry["group"], "group", path, check),
        mode=int(mode, 8),
    )


def parse_validator(entry: dict[str, Any]) -> tuple[str, ...]:
    """Read the command that checks a file; a unit has one by itself. Raises FileSetError."""
    path = Path(entry["dest"])
    if not entry["validate"]:
        is_unit = path.parent == _UNITS and path.suffix in _UNIT_KINDS
        return _UNIT_CHECK if is_unit else ()
    if "%s" not in entry["validate"]:
        raise FileSetError(
            f"validate of {path} does not say where the file goes: add %s, as in "
            f"validate: {entry['validate']} %s"
        )
    return tuple(shlex.split(entry["validate"]))


def parse_file(entry: dict[str, Any], check: bool) -> File:
    """Read an entry of the option `files`. Raises FileSetError."""
    secret = entry["secret_content"] is not None
    content: str | None = entry["secret_content"] if secret else entry["content"]
    if content is None:
        raise FileSetError(f"{entry['dest']} has no content: give it a template, src or content.")
    attributes = parse_attributes(entry, "0600" if secret else "0644", check)
    return File(Path(entry["dest"]), content.encode(), attributes, secret, parse_validator(entry))


def parse_file_set(params: dict[str, Any], check: bool) -> FileSet:
    """Read the module's options. Raises FileSetError."""
    file_set = FileSet(
        directories=tuple(
            Directory(Path(entry["path"]), parse_attributes(entry, "0755", check))
            for entry in params["directories"]
        ),
        files=tuple(
            parse_file(entry, check) for entry in params["files"] if entry["state"] == "present"
        ),
        absent=tuple(
            Path(entry["dest"]) for entry in params["files"] if entry["state"] == "absent"
        ),
    )
    paths = [
        *(directory.path for directory in file_set.directories),
        *(file.path for file in file_set.files),
        *file_set.absent,
    ]
    for path in paths:
        if not path.is_absolute():
            raise FileSetError(f"'{path}' is no absolute path: begin it with /.")
        if paths.count(path) > 1:
            raise FileSetError(f"{path} is listed twice: remove one of the entries.")
    return file_set


def lstat(path: Path) -> os.stat_result | None:
    """Return what is at a path, without following a link; None for nothing."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def converge_attributes(path: Path, wanted: Attributes, check: bool, outcome: Outcome) -> None:
    """Put owner, group and mode of an existing path right. Raises OSError."""
    present = Attributes.of(path.stat())
    if present == wanted:
        return
    outcome.note(path, str(present), str(wanted))
    if not check:
        wanted.apply(path)


def converge_directories(file_set: FileSet, check: bool, outcome: Outcome) -> None:
    """Make the directories. Raises FileSetError, OSError."""
    for directory in file_set.directories:
        path, wanted = directory.path, directory.attributes
        if path.is_dir():
            converge_attributes(path, wanted, check, outcome)
        elif lstat(path) is not None:
            raise FileSetError(f"{path} is not a directory: look at it (ls -l), and move it away.")
        else:
            outcome.note(path, "", str(wanted))
            if not check:
                make_directory(path, wanted)


def current_content(file: File) -> bytes | None:
    """Return what a file has now; None where there is none, or a link.

    Raises FileSetError, OSError.
    """
    info = lstat(file.path)
    if info is None or stat.S_ISLNK(info.st_mode):
        return None
    if not stat.S_ISREG(info.st_mode):
        raise FileSetError(
            f"{file.path} is not a regular file: look at it (ls -l), and move it away."
        )
    return file.path.read_bytes()


@contextmanager
def staged(file_set: FileSet, check: bool) -> Iterator[dict[Path, Path]]:
    """Write all files of the set under their final names into directories beside their targets.

    Programs look at names: systemd-analyze wants `x.service`. Yields the staging directory of each
    target directory, and removes all of them in the end; check mode has them below /tmp.
    Raises FileSetError, OSError.
    """
    stages: dict[Path, Path] = {}
    try:
        for directory in dict.fromkeys(file.path.parent for file in file_set.files):
            stages[directory] = make_stage(directory, check)
        for file in file_set.files:
            write_new(stages[file.path.parent] / file.path.name, [file.content], file.attributes)
        if any(file.validate for file in file_set.files):
            for directory, stage in stages.items():
                link_siblings(directory, stage, stages, file_set.absent)
        yield stages
    finally:
        for stage in stages.values():
            shutil.rmtree(stage, ignore_errors=True)


def make_stage(directory: Path, check: bool) -> Path:
    """Make the staging directory of a target directory. Raises FileSetError, OSError."""
    if check:
        return Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX))
    if not directory.is_dir():
        raise FileSetError(
            f"There is no directory {directory} to write into. List it before the files, as "
            f"directories: [{{path: {directory}}}]."
        )
    stage: Path = temporary_path(directory)
    # A validator that drops its privileges sees the candidates as it will see the files.
    make_directory(stage, Attributes.of(directory.stat()))
    return stage


def link_siblings(
    directory: Path, stage: Path, stages: dict[Path, Path], absent: tuple[Path, ...]
) -> None:
    """Show the other entries of a target directory in its staging directory. Raises OSError."""
    entries = {path: path for path in directory.iterdir()} if directory.is_dir() else {}
    # A subdirectory that is in the set too shows its new state.
    entries.update({path: inner for path, inner in stages.items() if path.parent == directory})
    for path, source in entries.items():
        link = stage / path.name
        hidden = path in absent or path.name.startswith(TEMPORARY_PREFIX)
        if not hidden and not link.exists():
            link.symlink_to(source)


@cache
def systemd_version() -> int:
    """Return the version of the host's systemd; 0 where it does not say."""
    with suppress(OSError):
        result = subprocess.run(
            ["systemctl", "--version"], capture_output=True, text=True, check=False
        )
        found = re.match(r"systemd (\d+)", result.stdout)
        return int(found[1]) if found else 0
    return 0


def known_arguments(command: tuple[str, ...]) -> list[str]:
    """Return a validator without what this host's systemd-analyze does not know.

    Without --recursive-errors=no, which came with 250, faults of other units count too.
    """
    return [a for a in command if a != _OWN_ERRORS_ONLY or systemd_version() >= 250]


def validate(file: File, stage: Path) -> str:
    """Check the candidate in a staging directory; return the program's objections, "" for none."""
    candidate = str(stage / file.path.name)
    command = [a.replace("%s", candidate) for a in known_arguments(file.validate)]
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VALIDATE_TIMEOUT,
            check=False,
        )
    except OSError as error:
        return f"cannot run {command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"no answer within {_VALIDATE_TIMEOUT} seconds"
    if result.returncode == 0:
        return ""
    words = result.stdout.decode(errors="replace").strip() or f"exit status {result.returncode}"
    words = words.replace(str(stage), str(file.path.parent))
    return masked(words, file.content.decode()) if file.secret else words


def masked(words: str, secret: str) -> str:
    """Return a validator's words without the values of a secret file (what follows `:` or `=`)."""
    values = re.findall(r"[:=][ \t]*[\"']?([^\s\"']{6,})", secret)
    for value in sorted(values, key=len, reverse=True):
        words = words.replace(value, "********")
    return words


def validate_all(
    file_set: FileSet, stages: dict[Path, Path], check: bool, outcome: Outcome
) -> None:
    """Validate all candidates. Raises FileSetError at the first invalid one; check mode warns."""
    for file in file_set.files:
        problem = validate(file, stages[file.path.parent]) if file.validate else ""
        if problem and not check:
            command = " ".join(file.validate).replace("%s", str(file.path))
            raise FileSetError(
                f"{file.path} would be invalid, so nothing was replaced, none of the task's "
                f"{len(file_set.files)} files. {command} says:\n{problem}"
            )
        if problem:
            outcome.unvalidated.append(str(file.path))
            outcome.warnings.append(f"{file.path} could not be validated: {problem}")


def converge_files(file_set: FileSet, check: bool, outcome: Outcome) -> None:
    """Write, validate and replace the files. Raises FileSetError, OSError."""
    if not check:
        for directory in {file.path.parent for file in file_set.files}:
            sweep(directory)
    before = {file.path: current_content(file) for file in file_set.files}
    differing = [file for file in file_set.files if file.content != before[file.path]]
    if differing:
        with staged(file_set, check) as stages:
            validate_all(file_set, stages, check, outcome)
            if not check:
                for file in differing:
                    (stages[file.path.parent] / file.path.name).replace(file.path)
                for directory in stages:
                    sync_directory(directory)
    for file in file_set.files:
        if file in differing:
            note_content(file, before[file.path], outcome)
        else:
            converge_attributes(file.path, file.attributes, check, outcome)


def note_content(file: File, before: bytes | None, outcome: Outcome) -> None:
    """Note a new content; of a secret, that there is one."""
    if file.secret:
        outcome.note(
            file.path,
            "" if before is None else "(the secret content before)\n",
            "(another secret content)\n",
        )
    else:
        old = (before or b"").decode(errors="replace")
        outcome.note(file.path, old, file.content.decode())


def converge_absent(file_set: FileSet, check: bool, outcome: Outcome) -> None:
    """Remove the files that must not be. Raises FileSetError, OSError."""
    for path in file_set.absent:
        info = lstat(path)
        if info is None:
            continue
        if stat.S_ISDIR(info.st_mode):
            raise FileSetError(f"{path} is a directory, and state: absent removes only files.")
        outcome.note(path, "(present)\n", "")
        if not check:
            path.unlink()
            sync_directory(path.parent)


def converge(file_set: FileSet, check: bool) -> Outcome:
    """Bring directories and files to their wanted state. Raises FileSetError, OSError."""
    outcome = Outcome()
    converge_directories(file_set, check, outcome)
    converge_files(file_set, check, outcome)
    converge_absent(file_set, check, outcome)
    return outcome


class FilesModule(AnsibleModule):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """An AnsibleModule that writes no arguments to the host's journal."""

    def _log_invocation(self) -> None:
        """Log nothing: Ansible's masking misses a secret that has line breaks."""


def content_options() -> dict[str, Any]:
    """Return the options that say what a file contains."""
    return {
        "template": {"type": "str"},
        "src": {"type": "str"},
        "content": {"type": "str"},
    }


def arguments() -> dict[str, Any]:
    """Return the options that the modules `files` and `service` share."""
    owner = {"owner": {"type": "str"}, "group": {"type": "str"}}
    return {
        "directories": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "path", "required": True},
                **owner,
                "mode": {"type": "str", "default": "0755"},
            },
        },
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "dest": {"type": "path", "required": True},
                **content_options(),
                "replace": {"type": "dict"},
                "secret": {"type": "bool", "default": False},
                "secret_content": {"type": "str", "no_log": True},
                **owner,
                "mode": {"type": "str"},
                "validate": {"type": "str"},
                "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            },
            "mutually_exclusive": [("content", "secret_content")],
        },
    }


def unwritable(error: OSError) -> str:
    """Return the message for an error of the filesystem."""
    return (
        f"Cannot write {error.filename}: {error.strerror}. The task must run as root "
        "(become: true) on a writable filesystem with free space (df -h)."
    )
