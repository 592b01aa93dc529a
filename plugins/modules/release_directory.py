"""Ansible module `release_directory`: releases side by side, and a link to the one that serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_directory
short_description: Keep an application's releases side by side, each named by its content
version_added: "0.1.0"
author: labstack (@labstack)
description:
  - Keeps C(<root>/releases/<name>), one directory for each release, and C(<root>/current), a
    relative link to the release that serves.
  - A release appears whole or not at all, and never changes afterwards, but for its settings. The
    same content has the same name, so there is nothing to do for it.
  - With V(state=current), releases (and their images) other than the newest are removed.
options:
  state:
    description:
      - V(present) makes the release from O(source) or O(checkout).
      - V(current) turns the link to O(name) and removes what is old.
    type: str
    choices: [present, current]
    default: present
  root:
    description: Where C(releases) and C(current) are. Created if missing.
    type: path
    required: true
  source:
    description: >-
      What the lookup P(labstack.stack.source_archive#lookup) returns. For V(state=present).
    type: dict
    suboptions:
      digest:
        description: SHA-256 of the tar archive. Its first 12 digits are the release's name.
        type: str
        required: true
      archive:
        description: The gzipped tar archive in Base64.
        type: str
        required: true
  checkout:
    description: A directory of the host under version control. For V(state=present).
    type: dict
    suboptions:
      path:
        description:
          - The directory that holds the Compose file.
        type: path
        required: true
      commit:
        description: The commit that is checked out. Its first 12 digits are the release's name.
        type: str
        required: true
  leave_out:
    description:
      - Names of files and directories of O(checkout) that are no part of the release, with C(*).
        By default what the lookup leaves out.
    type: list
    elements: str
    default: [".*", tests, secrets, tls, __pycache__]
  settings:
    description:
      - Content of its C(.env), which Compose reads. C(%s) stands for the release's name,
        C(%(directory+text)s) for a digest of what the release has in that directory, and of the
        text behind the plus, which may be left out. For V(state=present).
    type: str
  kept_settings:
    description:
      - Variables of C(.env) that stay as they are when O(name) names a release that is there, so
        that it runs on what it ran on.
    type: list
    elements: str
    default: []
  name:
    description:
      - The release that serves from now on. Required for V(state=current).
      - For V(state=present), a release that is there already, instead of O(source) and O(checkout).
    type: str
  keep:
    description: How many releases to keep, the current one included.
    type: int
    default: 3
  images:
    description:
      - Prefix of the images that are tagged with a release's name, for example C(labstack/).
      - Given, V(state=current) removes those that no release's C(.env) names as a tag.
    type: str
attributes:
  check_mode:
    description: Tells what would be made, turned and removed.
    support: full
  diff_mode:
    description: The name says it all.
    support: none
"""

EXAMPLES = r"""
- name: Unpack the release
  labstack.stack.release_directory:
    root: /opt/webapp
    source: "{{ lookup('labstack.stack.source_archive', playbook_dir ~ '/app') }}"
  register: release

- name: Let it serve, and remove what is old
  labstack.stack.release_directory:
    state: current
    root: /opt/webapp
    name: "{{ release.name }}"
    images: labstack/
"""

RETURN = r"""
name:
  description: Name of the release.
  returned: success
  type: str
path:
  description: Its directory.
  returned: success
  type: str
current:
  description: Name of the release that the link led to before; empty without a link.
  returned: success
  type: str
compose:
  description: The name of its Compose file; empty where check mode has not unpacked it.
  returned: V(state=present)
  type: str
settings:
  description: The variables of its C(.env).
  returned: V(state=present)
  type: dict
superfluous:
  description: Releases that V(state=current) would remove, those that never served among them.
  returned: V(state=present)
  type: list
  elements: str
former_settings:
  description:
    - What C(.env) of the current release held before this task changed it, so that a failure can
      bring it back. Empty where nothing was changed, or where another release serves.
  returned: V(state=present)
  type: str
removed:
  description: Releases and images that are (would be) removed.
  returned: success
  type: list
  elements: str
"""

import base64
import binascii
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import kept_releases
from ..module_utils.host_files import (
    Attributes,
    replace,
    sweep,
    sync_directory,
    temporary_path,
    write_temporary,
)

NAME_LENGTH = 12
NAME = re.compile(r"[0-9a-f]{12}")
# In settings: %(flask+3.13-slim)s
DIGEST = re.compile(r"%\(([\w./-]+)(?:\+([^)]*))?\)s")
# As the lookup source_archive leaves out.
LEFT_OUT = (".*", "tests", "secrets", "tls", "__pycache__")
# In the order in which Compose looks for them.
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
# A container that is just going away holds its image for a moment; the engine answers within this.
DOCKER_TIMEOUT_S = 120


class ReleaseError(Exception):
    """The release cannot be made, or cannot become the current one. The message says why."""


class Releases:
    """The directory of releases and the link.

    Attributes:
        root: where both are.
    """

    def __init__(self, root: Path) -> None:
        """Remember the place; nothing is read or made yet."""
        self.root = root
        self.directory = root / kept_releases.RELEASES
        self.link = root / kept_releases.CURRENT

    def add(self, name: str, fill: Callable[[Path], None]) -> None:
        """Make a release: `fill` gets an empty directory, which takes the name when it is complete.

        Raises:
            ReleaseError: what `fill` made has no Compose file.
            OSError: it cannot be written.
        """
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        sweep(self.directory)
        temporary = temporary_path(self.directory)
        temporary.mkdir(mode=0o700)
        try:
            fill(temporary)
            if not compose_file(temporary):
                raise ReleaseError(f"it has none of {', '.join(COMPOSE_FILES)}")
            _to_disk(temporary)
            temporary.chmod(0o755)
            temporary.rename(self.directory / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_directory(self.directory)

    def turn(self, name: str) -> None:
        """Let the link lead to a release, in one step. Raises OSError."""
        sweep(self.root)
        before = kept_releases.current(self.root)
        if before and not kept_releases.used_ns(self.root, before):
            # A run that was killed here has turned the link and not marked the release.
            kept_releases.mark(self.root, before)
        temporary = temporary_path(self.root)
        temporary.symlink_to(Path(kept_releases.RELEASES) / name)
        temporary.replace(self.link)
        # The order of age is that of use, so that going back makes a release young again.
        kept_releases.mark(self.root, name)
        sync_directory(self.root)

    def old(self, keep: int, current: str) -> list[str]:
        """Return the releases that are not among the `keep` used last; never the current one.

        One that never served does not push out one that did.
        """
        try:
            entries = [entry for entry in self.directory.iterdir() if NAME.fullmatch(entry.name)]
        except FileNotFoundError:
            return []
        others = [entry for entry in entries if entry.name != current]
        others.sort(key=lambda entry: kept_releases.used_ns(self.root, entry.name), reverse=True)
        return sorted(entry.name for entry in others[max(keep - 1, 0) :])

    def names(self) -> set[str]:
        """Return the releases that exist."""
        try:
            return {entry.name for entry in self.directory.iterdir()}
        except FileNotFoundError:
            return set()

    def tags(self, names: set[str]) -> set[str]:
        """Return the tags of images that those releases use: their own names, and what .env has."""
        found = set(names)
        for name in names:
            with suppress(OSError):
                for value in settings_of((self.directory / name / ".env").read_text()).values():
                    if NAME.fullmatch(value):
                        found.add(value)
        return found

    def remove(self, name: str) -> None:
        """Remove a release; killed in between, what is left is swept later. Raises OSError."""
        temporary = temporary_path(self.directory)
        (self.directory / name).rename(temporary)
        kept_releases.forget(self.root, name)
        shutil.rmtree(temporary)


def compose_file(directory: Path) -> str:
    """Return the name of the Compose file that Compose itself would take, or an empty text."""
    return next((name for name in COMPOSE_FILES if (directory / name).is_file()), "")


def _to_disk(directory: Path) -> None:
    """Bring a tree to the disk: after a power cut a release must not be full of empty files."""
    for parent, _, files in os.walk(directory):
        for name in files:
            descriptor = os.open(Path(parent, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(Path(parent))


def settle(file: Path, content: str, check: bool) -> tuple[bool, str]:
    """Give a file a content, readable for all.

    Returns:
        Whether that changes it, and the content that it had before where that was another one.

    Raises:
        OSError: it cannot be read or written.
    """
    wanted, former = Attributes.own(0o644), ""
    with suppress(FileNotFoundError):
        before = file.read_text()
        if before == content and Attributes.of(file.lstat()) == wanted:
            return False, ""
        former = before if before != content else ""
    if not check:
        replace(write_temporary(file.parent, [content.encode()], wanted), file)
    return True, former


def settings_of(content: str) -> dict[str, str]:
    """Return the variables of a file .env that has one on each line."""
    lines = (line.partition("=") for line in content.splitlines() if not line.startswith("#"))
    return {name: value for name, equals, value in lines if equals}


def digest_of(directory: Path, text: str) -> str:
    """Return 12 digits that stand for a directory's files, their modes, and a text.

    Raises:
        ReleaseError: there is no such directory.
        OSError: it cannot be read.
    """
    if not directory.is_dir():
        raise ReleaseError(f"it has no directory {directory.name}")
    whole = hashlib.sha256(text.encode())
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            runs = "x" if path.stat().st_mode & 0o100 else "-"
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            whole.update(f"\n{path.relative_to(directory)} {runs} {content}".encode())
    return whole.hexdigest()[:NAME_LENGTH]


def render(settings: str, name: str, release: Path) -> str:
    """Return the settings of a release, with what stands for its name and its digests filled in.

    Raises:
        ReleaseError: a directory that they name is not there.
        OSError: it cannot be read.
    """
    filled = DIGEST.sub(lambda found: digest_of(release / found[1], found[2] or ""), settings)
    return filled.replace("%s", name)


def unpack(archive: str, digest: str, target: Path) -> None:
    """Unpack an archive of the lookup source_archive into an empty directory.

    Args:
        archive: gzipped tar, in Base64.
        digest: SHA-256 of the tar.
        target: the directory.

    Raises:
        ReleaseError: it is damaged, or holds something that is neither file nor directory.
        OSError: it cannot be written.
    """
    try:
        content = gzip.decompress(base64.b64decode(archive, validate=True))
    except (binascii.Error, OSError, EOFError, zlib.error) as error:
        raise ReleaseError(f"the archive is damaged: {error}") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        raise ReleaseError(f"the archive is damaged: its SHA-256 is {actual}, not {digest}")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for member in tar:
            path = target / member.name
            if not path.resolve().is_relative_to(target.resolve()):
                raise ReleaseError(f"the archive names a path outside of itself: {member.name}")
            if member.isdir():
                path.mkdir()
            elif member.isfile() and (stream := tar.extractfile(member)):
                path.write_bytes(stream.read())
            else:
                raise ReleaseError(f"the archive holds no file at {member.name}")
            path.chmod(0o755 if member.mode & 0o100 else 0o644)


def copy(checkout: Path, target: Path, leave_out: Sequence[str] = LEFT_OUT) -> None:
    """Copy a checked out directory into an empty one. Raises OSError (shutil.Error)."""
    shutil.copytree(checkout, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*leave_out))


class Images:
    """The images of releases, by way of the docker command."""

    def __init__(self, command: str, prefix: str) -> None:
        """Take the path of the command and the prefix of the images' names."""
        self.command = command
        self.prefix = prefix

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, "image", *arguments],
            capture_output=True,
            text=True,
            timeout=DOCKER_TIMEOUT_S,
            check=False,
        )

    def old(self, tags: set[str]) -> list[str]:
        """Return the images whose tag has the form of a release's and is not among `tags`.

        Raises:
            ReleaseError: the engine does not answer.
        """
        listed = self._docker(
            "ls", "--filter", f"reference={self.prefix}*", "--format", "{{.Repository}}:{{.Tag}}"
        )
        if listed.returncode:
            raise ReleaseError(f"docker image ls failed: {listed.stderr.strip()}")
        tagged = [(line, line.rpartition(":")[2]) for line in listed.stdout.split()]
        return [line for line, tag in tagged if NAME.fullmatch(tag) and tag not in tags]

    def remove(self, names: list[str]) -> str:
        """Remove images; return why some could not be removed, or an empty text."""
        return self._docker("rm", *names).stderr.strip()


def keep(content: str, file: Path, names: list[str]) -> str:
    """Return new settings in which some variables have the values that a file has.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        before = settings_of(file.read_text())
    except FileNotFoundError:
        return content
    lines = []
    for line in content.splitlines(keepends=True):
        name = line.partition("=")[0]
        known = name in names and name in before
        lines.append(f"{name}={before[name]}\n" if known else line)
    return "".join(lines)


def make_present(module: AnsibleModule, kept: Releases) -> None:
    """Bring V(state=present) about and end the module."""
    source, checkout = module.params["source"], module.params["checkout"]
    if source or checkout:
        digest = source["digest"] if source else checkout["commit"]
        name = digest[:NAME_LENGTH]
    else:
        digest = name = module.params["name"]
        if name not in kept.names():
            names = ", ".join(sorted(filter(NAME.fullmatch, kept.names()))) or "none"
            raise ReleaseError(f"there is no release {name!r}; kept are: {names}")
    if not NAME.fullmatch(name):
        raise ReleaseError(f"{digest!r} does not begin with {NAME_LENGTH} hexadecimal digits")
    changed = name not in kept.names()
    if changed and not module.check_mode:
        kept.add(
            name,
            (lambda target: unpack(source["archive"], digest, target))
            if source
            else (lambda target: copy(Path(checkout["path"]), target, module.params["leave_out"])),
        )
    release = kept.directory / name
    settings, content, former = module.params["settings"], "", ""
    current = kept_releases.current(kept.root)
    # What check mode has not unpacked has no digests.
    if settings is not None and release.is_dir():
        if not module.check_mode:
            sweep(release)
        content = render(settings, name, release)
        if not (source or checkout):
            content = keep(content, release / ".env", module.params["kept_settings"])
        settled, former = settle(release / ".env", content, module.check_mode)
        changed |= settled
    if source:
        # For the shown arguments: who reads a log does not want a megabyte of Base64.
        source["archive"] = f"({len(source['archive'])} characters)"
    module.exit_json(
        changed=changed,
        name=name,
        path=str(release),
        current=current,
        former_settings=former if name == current else "",
        removed=[],
        settings=settings_of(content),
        superfluous=kept.old(module.params["keep"], name),
        compose=compose_file(release),
    )


def make_current(module: AnsibleModule, kept: Releases) -> None:
    """Bring V(state=current) about and end the module."""
    name, before = module.params["name"], kept_releases.current(kept.root)
    turned = before != name
    if turned and not module.check_mode:
        if name not in kept.names():
            raise ReleaseError(f"there is no {kept.directory / name}")
        kept.turn(name)
    removed = kept.old(module.params["keep"], name)
    if not module.check_mode:
        for release in removed:
            kept.remove(release)
        sweep(kept.directory)

    images: list[str] = []
    # Where check mode has installed nothing there is no engine, and so no image.
    docker = module.get_bin_path("docker") if module.params["images"] else None
    if docker:
        images = Images(docker, module.params["images"]).old(kept.tags(kept.names() - set(removed)))
    elif module.params["images"] and not module.check_mode:
        raise ReleaseError("there is no docker command to remove old images with")
    if docker and images and not module.check_mode:
        problem = Images(docker, module.params["images"]).remove(images)
        if problem:
            module.warn(f"Old images stay until another release serves: {problem}")
    module.exit_json(
        changed=turned or bool(removed) or bool(images),
        name=name,
        path=str(kept.directory / name),
        current=before,
        removed=removed + images,
    )


class QuietModule(AnsibleModule):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """An AnsibleModule that does not write its arguments, whole files, to the host's journal."""

    def _log_invocation(self) -> None:
        """Log nothing."""


def main() -> None:
    """Run the module."""
    module = QuietModule(
        argument_spec={
            "state": {"choices": ["present", "current"], "default": "present"},
            "root": {"type": "path", "required": True},
            "source": {
                "type": "dict",
                "options": {"digest": {"required": True}, "archive": {"required": True}},
            },
            "checkout": {
                "type": "dict",
                "options": {
                    "path": {"type": "path", "required": True},
                    "commit": {"required": True},
                },
            },
            "leave_out": {"type": "list", "elements": "str", "default": list(LEFT_OUT)},
            "settings": {},
            "kept_settings": {"type": "list", "elements": "str", "default": []},
            "name": {},
            "keep": {"type": "int", "default": 3},
            "images": {},
        },
        mutually_exclusive=[("source", "checkout")],
        required_if=[
            ("state", "present", ("source", "checkout", "name"), True),
            ("state", "current", ("name",)),
        ],
        supports_check_mode=True,
    )
    kept = Releases(Path(module.params["root"]))
    try:
        if module.params["state"] == "present":
            make_present(module, kept)
        make_current(module, kept)
    except (ReleaseError, OSError, shutil.Error, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=f"The release in {kept.root} stays as it is: {error}")


if __name__ == "__main__":
    main()
