"""Ansible module `config_files`: a role's files as one batch, validated and replaced together."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Write a batch of files, all validated before any is replaced
version_added: "0.1.0"
author: labstack
description:
  - Writes the new contents under their final names into a hidden directory beside the targets,
    validates all of them, and only then gives them their places by rename. One invalid file, and
    none is replaced.
  - The hidden directory shows every other entry of the target directory as a symbolic link, so a
    file that names another one by a relative path is validated against the new state of both. An
    absolute path leads to the old state.
  - When no content in the batch differs, nothing is validated. Owners and modes are put right
    either way.
options:
  directories:
    description: Directories to make first, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Missing parents are made with mode 0755.
        type: path
        required: true
      owner:
        description: Name or number of the owner; by default the user who runs the module.
        type: str
      group:
        description: Name or number of the group; by default that of the user who runs the module.
        type: str
      mode:
        description: Permission bits in octal, as a quoted text.
        type: str
        default: "0755"
  files:
    description: The files to write.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. A symbolic link there is replaced by the file.
        type: path
        required: true
      content:
        description: The content, as it is. Either this or O(files[].secret_content) is required.
        type: str
      secret_content:
        description: A content that is neither logged nor shown in a diff.
        type: str
      owner:
        description: Name or number of the owner; by default the user who runs the module.
        type: str
      group:
        description: Name or number of the group; by default that of the user who runs the module.
        type: str
      mode:
        description: Permission bits in octal, as a quoted text. By default 0644, for a secret 0600.
        type: str
      validate:
        description:
          - Program and arguments that check the file, without a shell. C(%s) stands for the path of
            the candidate. An exit status other than 0 means invalid.
        type: list
        elements: str
  absent:
    description: Files to remove.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description:
      - Validates in a temporary directory, and writes nothing elsewhere. A user, group, directory
        or validating program that is missing is assumed to come. A validation that fails does not
        fail the task, as it may lack them; the file is in RV(unvalidated), and a warning says why.
    support: full
  diff_mode:
    description: Shows contents, owners and modes; of a secret only that it differs.
    support: full
"""

EXAMPLES = r"""
- name: Write the configuration
  config_files:
    directories:
      - {path: /etc/prometheus, owner: root, group: prometheus, mode: "0750"}
    files:
      - path: /etc/prometheus/prometheus.yml
        content: "{{ lookup('ansible.builtin.template', 'prometheus.yml.j2') }}"
        group: prometheus
        mode: "0640"
        validate: [/usr/local/bin/promtool, check, config, "%s"]
      - path: /etc/prometheus/web.yml
        secret_content: "{{ lookup('ansible.builtin.template', 'web.yml.j2') }}"
        group: prometheus
        mode: "0640"
    absent:
      - /etc/prometheus/old.yml
"""

RETURN = r"""
changed_files:
  description: Paths of what was made, replaced, removed, or given another owner or mode.
  returned: success
  type: list
  elements: str
unvalidated:
  description: Paths of changed files that check mode could not validate.
  returned: success
  type: list
  elements: str
"""

import grp
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.atomic_files import (
    TEMPORARY_PREFIX,
    sweep,
    sync_directory,
    temporary_path,
    write_new,
)
from ansible.module_utils.basic import AnsibleModule

_VALIDATE_TIMEOUT = 120  # seconds


class ConfigError(Exception):
    """A message for the user."""


@dataclass(frozen=True)
class Attributes:
    """Owner, group and permission bits; -1 is an owner or group that check mode does not know."""

    uid: int
    gid: int
    mode: int

    def __str__(self) -> str:
        """Show them as a diff does."""
        return f"owner: {self.uid}\ngroup: {self.gid}\nmode: {self.mode:04o}\n"


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
class Batch:
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
        if str(path) not in self.changed_files:
            self.changed_files.append(str(path))
        header = str(path)
        self.diff.append(
            {"before": before, "after": after, "before_header": header, "after_header": header}
        )


def parse_id(value: str | None, kind: str, path: str, check: bool) -> int:
    """Return the number of a user or group (`kind`); -1 for one that check mode does not know.

    Raises ConfigError.
    """
    if value is None:
        return os.geteuid() if kind == "user" else os.getegid()
    if value.isdigit():
        return int(value)
    try:
        return pwd.getpwnam(value).pw_uid if kind == "user" else grp.getgrnam(value).gr_gid
    except KeyError:
        if check:
            return -1
        raise ConfigError(
            f"There is no {kind} '{value}', who shall have {path}: create it before this task "
            f"(ansible.builtin.{kind}), or correct the name."
        ) from None


def parse_attributes(entry: dict[str, Any], default_mode: str, check: bool) -> Attributes:
    """Read owner, group and mode of an entry. Raises ConfigError."""
    mode = entry["mode"] or default_mode
    if not re.fullmatch(r"[0-7]{3,4}", mode):
        raise ConfigError(
            f"mode '{mode}' of {entry['path']} is not octal: write it in quotes, as \"0644\"."
        )
    return Attributes(
        uid=parse_id(entry["owner"], "user", entry["path"], check),
        gid=parse_id(entry["group"], "group", entry["path"], check),
        mode=int(mode, 8),
    )


def parse_batch(params: dict[str, Any], check: bool) -> Batch:
    """Read the module's options. Raises ConfigError."""
    files = []
    for entry in params["files"]:
        secret = entry["secret_content"] is not None
        content = entry["secret_content"] if secret else entry["content"]
        validate = tuple(entry["validate"] or ())
        if validate and not any("%s" in argument for argument in validate):
            raise ConfigError(
                f"validate of {entry['path']} does not say where the file goes: "
                f'add "%s", as in [{validate[0]}, "%s"].'
            )
        attributes = parse_attributes(entry, "0600" if secret else "0644", check)
        files.append(File(Path(entry["path"]), content.encode(), attributes, secret, validate))
    directories = [
        Directory(Path(entry["path"]), parse_attributes(entry, "0755", check))
        for entry in params["directories"]
    ]
    batch = Batch(tuple(directories), tuple(files), tuple(map(Path, params["absent"])))
    paths = [*(d.path for d in directories), *(f.path for f in files), *batch.absent]
    for path in paths:
        if not path.is_absolute():
            raise ConfigError(f"'{path}' is no absolute path: begin it with /.")
        if paths.count(path) > 1:
            raise ConfigError(f"{path} is listed twice: remove one of them.")
    return batch


def lstat(path: Path) -> os.stat_result | None:
    """Return what is at a path, without following a link; None for nothing."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def converge_attributes(
    path: Path, wanted: Attributes, info: os.stat_result, check: bool, outcome: Outcome
) -> None:
    """Put owner, group and mode of an existing path right. Raises OSError."""
    present = Attributes(info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
    if present == wanted:
        return
    outcome.note(path, str(present), str(wanted))
    if not check:
        os.chown(path, wanted.uid, wanted.gid)
        path.chmod(wanted.mode)


def converge_directories(batch: Batch, check: bool, outcome: Outcome) -> None:
    """Make the directories. Raises ConfigError, OSError."""
    for directory in batch.directories:
        info = lstat(directory.path)
        if info is not None and stat.S_ISLNK(info.st_mode):
            info = directory.path.stat()
        if info is None:
            outcome.note(directory.path, "", str(directory.attributes))
            if check:
                continue
            directory.path.mkdir(parents=True)
            info = directory.path.stat()
            converge_attributes(directory.path, directory.attributes, info, check, Outcome())
        elif not stat.S_ISDIR(info.st_mode):
            raise ConfigError(f"{directory.path} is not a directory: move it away.")
        else:
            converge_attributes(directory.path, directory.attributes, info, check, outcome)


def current_content(file: File) -> bytes | None:
    """Return what a file has now; None where no regular file is. Raises ConfigError, OSError."""
    info = lstat(file.path)
    if info is None or stat.S_ISLNK(info.st_mode):
        return None
    if not stat.S_ISREG(info.st_mode):
        raise ConfigError(f"{file.path} is not a regular file: move it away.")
    return file.path.read_bytes()


@contextmanager
def staged(batch: Batch, check: bool) -> Iterator[dict[Path, Path]]:
    """Write all files of the batch under their final names into directories beside their targets.

    Yields the staging directory of each target directory; all are removed in the end. In check mode
    they are elsewhere. Raises ConfigError, OSError.
    """
    stages: dict[Path, Path] = {}
    try:
        for file in batch.files:
            directory = file.path.parent
            if directory not in stages:
                if check:
                    stages[directory] = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX))
                elif not directory.is_dir():
                    raise ConfigError(
                        f"There is no directory {directory} for {file.path}: list it in "
                        f"directories, as - {{path: {directory}}}."
                    )
                else:
                    stages[directory] = temporary_path(directory)
                    stages[directory].mkdir(mode=0o700)
            uid, gid = file.attributes.uid, file.attributes.gid
            write_new(
                stages[directory] / file.path.name, [file.content], file.attributes.mode, uid, gid
            )
        for directory, stage in stages.items():
            link_siblings(directory, stage, stages, batch.absent)
            if not check:
                # Validators that drop their privileges see the candidates as they see the targets.
                info = directory.stat()
                os.chown(stage, info.st_uid, info.st_gid)
                stage.chmod(stat.S_IMODE(info.st_mode))
        yield stages
    finally:
        for stage in stages.values():
            shutil.rmtree(stage, ignore_errors=True)


def link_siblings(
    directory: Path, stage: Path, stages: dict[Path, Path], absent: tuple[Path, ...]
) -> None:
    """Show the other entries of a target directory in its staging directory."""
    entries = {path: path for path in directory.iterdir()} if directory.is_dir() else {}
    entries.update({path: staged for path, staged in stages.items() if path.parent == directory})
    for path, source in entries.items():
        link = stage / path.name
        if path in absent or path.name.startswith(TEMPORARY_PREFIX) or link.exists():
            continue
        link.symlink_to(source)


def validate(file: File, candidate: Path) -> str | None:
    """Check a candidate; return None if it is valid, else what the program said."""
    command = [argument.replace("%s", str(candidate)) for argument in file.validate]
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
        return None
    words = result.stdout.decode(errors="replace").strip() or f"exit status {result.returncode}"
    words = words.replace(str(candidate), str(file.path))
    return masked(words, file.content.decode()) if file.secret else words


def masked(words: str, secret: str) -> str:
    """Return a validator's words without the values of a secret file (what follows `:` or `=`)."""
    values = re.findall(r"[:=]\s*[\"']?([^\s\"']{6,})", secret)
    for value in sorted(values, key=len, reverse=True):
        words = words.replace(value, "********")
    return words


def converge_files(batch: Batch, check: bool, outcome: Outcome) -> None:
    """Write, validate and replace the files. Raises ConfigError, OSError."""
    if not check:
        for directory in {file.path.parent for file in batch.files}:
            sweep(directory)
    before = {file.path: current_content(file) for file in batch.files}
    differing = [file for file in batch.files if file.content != before[file.path]]
    if differing:
        with staged(batch, check) as stages:
            for file in batch.files:
                problem = None
                if file.validate:
                    problem = validate(file, stages[file.path.parent] / file.path.name)
                if problem is None:
                    continue
                if not check:
                    raise ConfigError(
                        f"{file.path} would be invalid, so none of the {len(batch.files)} files "
                        f"was replaced. {' '.join(file.validate)} says:\n{problem}"
                    )
                outcome.unvalidated.append(str(file.path))
                outcome.warnings.append(f"{file.path} could not be validated: {problem}")
            for file in [] if check else differing:
                (stages[file.path.parent] / file.path.name).replace(file.path)
            for directory in [] if check else stages:
                sync_directory(directory)
    for file in batch.files:
        if file in differing:
            note_content(file, before[file.path], outcome)
        else:
            converge_attributes(file.path, file.attributes, file.path.lstat(), check, outcome)


def note_content(file: File, before: bytes | None, outcome: Outcome) -> None:
    """Note a new content, for a secret without showing it."""
    if file.secret:
        state = "missing" if before is None else "another content"
        outcome.note(file.path, f"(a secret: {state})\n", "(a secret: the wanted content)\n")
    else:
        after = file.content.decode()
        outcome.note(file.path, (before or b"").decode(errors="replace"), after)


def converge_absent(batch: Batch, check: bool, outcome: Outcome) -> None:
    """Remove the files that must not be. Raises ConfigError, OSError."""
    for path in batch.absent:
        info = lstat(path)
        if info is None:
            continue
        if stat.S_ISDIR(info.st_mode):
            raise ConfigError(f"{path} is a directory: absent removes files only.")
        outcome.note(path, "present\n", "")
        if not check:
            path.unlink()
            sync_directory(path.parent)


def converge(batch: Batch, check: bool) -> Outcome:
    """Bring directories and files to their wanted state. Raises ConfigError, OSError."""
    outcome = Outcome()
    converge_directories(batch, check, outcome)
    converge_files(batch, check, outcome)
    converge_absent(batch, check, outcome)
    return outcome


class ConfigModule(AnsibleModule):  # type: ignore[misc]  # Ansible has no type information
    """An AnsibleModule that writes no arguments to the host's journal."""

    def _log_invocation(self) -> None:
        """Log nothing: Ansible's masking misses a secret that has line breaks."""


def main() -> None:
    """Run as an Ansible module."""
    ownership = {"owner": {"type": "str"}, "group": {"type": "str"}}
    module = ConfigModule(
        argument_spec={
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "mode": {"type": "str", "default": "0755"},
                    **ownership,
                },
            },
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str"},
                    "secret_content": {"type": "str", "no_log": True},
                    "mode": {"type": "str"},
                    "validate": {"type": "list", "elements": "str"},
                    **ownership,
                },
                "mutually_exclusive": [("content", "secret_content")],
                "required_one_of": [("content", "secret_content")],
            },
            "absent": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        outcome = converge(parse_batch(module.params, module.check_mode), module.check_mode)
    except ConfigError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"Cannot write {error.filename}: {error.strerror}. The task must run as root "
            "(become: true) on a writable filesystem with free space (df -h)."
        )
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(
        changed=bool(outcome.changed_files),
        changed_files=outcome.changed_files,
        unvalidated=outcome.unvalidated,
        **({"diff": outcome.diff} if module._diff else {}),
    )


if __name__ == "__main__":
    main()
