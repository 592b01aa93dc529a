#!/usr/bin/python
"""Ansible module `swap_file`: a swap file of a given size, in use now and after a boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: swap_file
short_description: Bring a swap file to its size and use it
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Makes the file where it is missing or has another size, writes it into fstab, and uses it. What
    is right already is left alone, so that nothing in use is swapped out and in again.
  - The file is made under another name and takes its own last; a run that is killed leaves nothing
    that could be taken for a swap file.
  - Sets how readily the kernel swaps, now and for the next boot.
  - With size 0 the file is taken out of use and removed, and the kernel's setting left alone.
options:
  path:
    description: The file. Its file system must be ext4 or XFS, as those of cloud images are.
    type: path
    required: true
  size:
    description: Its size in bytes, a multiple of 4096; 0 for none.
    type: int
    required: true
  swappiness:
    description: The kernel's vm.swappiness, 0 to 200.
    type: int
    required: true
  root:
    description: Where the host's file system begins; another one is for tests.
    type: path
    default: /
attributes:
  check_mode:
    description: Compares, and changes nothing.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
"""

EXAMPLES = r"""
- name: Have 1 GiB of swap
  labstack.stack.swap_file:
    path: /swapfile
    size: 1073741824
    swappiness: 10
"""

RETURN = r"""
actions:
  description: What was done (would be done).
  returned: success
  type: list
  elements: str
  sample: [made, listed, used, set]
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host_files import Attributes, replace, write_temporary

PAGE = 4096
# Bytes that must stay free beside the swap file.
RESERVE = 1024**3
WITHOUT = 'Less, or none: swap_size: "0", in group_vars/all/stack.yml'
SYSCTL = "etc/sysctl.d/60-labstack-swap.conf"


class SwapError(Exception):
    """What is wanted cannot be; the message says why and what to do."""


@dataclass(frozen=True)
class Host:
    """The files of the host that count.

    Attributes:
        root: where its file system begins.
        path: the swap file, as the host knows it.
    """

    root: Path
    path: str

    @property
    def file(self) -> Path:
        """The swap file."""
        return self.root / self.path.lstrip("/")

    @property
    def fstab(self) -> Path:
        """The table of file systems."""
        return self.root / "etc/fstab"

    def in_use(self) -> bool:
        """Return whether the kernel swaps to the file."""
        lines = (self.root / "proc/swaps").read_text().splitlines()[1:]
        return self.path in (line.split()[0] for line in lines if line.strip())

    def size(self) -> int:
        """Return the file's size in bytes, 0 where it is missing."""
        try:
            return self.file.stat().st_size
        except FileNotFoundError:
            return 0

    def fstab_with(self, wanted: bool) -> tuple[str, str]:
        """Return fstab as it is, and as it must be."""
        text = self.fstab.read_text() if self.fstab.exists() else ""
        kept = [
            line
            for line in text.splitlines()
            if line.startswith("#") or line.split()[:1] != [self.path]
        ]
        line = f"{self.path} none swap sw 0 0"
        if wanted:
            if line in text.splitlines():
                return text, text
            kept.append(line)
        return text, "".join(f"{entry}\n" for entry in kept)

    def swappiness(self) -> int:
        """Return the kernel's setting."""
        return int((self.root / "proc/sys/vm/swappiness").read_text())


def run(*command: str) -> None:
    """Run a command. Raises SwapError with its words."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SwapError(f"{command[0]} is missing: sudo apt-get install util-linux") from None
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()
        raise SwapError(
            f"{' '.join(command)} failed: {words}. A container has no swap of its own, and not "
            f"every file system takes a swap file. {WITHOUT}"
        )


def prepare(host: Host, size: int) -> Path:
    """Make a swap file beside the one that may be in use, and return its path.

    Raises SwapError, and OSError where the disk is full; then nothing of it is left.
    """
    new = host.file.with_name(f".labstack-new-{host.file.name}")
    new.unlink(missing_ok=True)
    free = shutil.disk_usage(host.file.parent).free
    if free < size + min(RESERVE, size):
        raise SwapError(
            f"{host.path} is to have {size} bytes, its disk has {free} free: make room. {WITHOUT}"
        )
    try:
        new.touch(0o600)
        # Blocks, not holes: the kernel refuses a swap file with holes.
        with new.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
            os.fsync(file.fileno())
        run("mkswap", str(new))
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return new


def change(host: Host, size: int, in_use: bool) -> None:
    """Put a file of that size in the place of what is there, or of none; it is not in use yet.

    A host that cannot have the new one keeps the old one, in use. Raises SwapError, OSError.
    """
    new = prepare(host, size) if size else None
    try:
        if in_use:
            run("swapoff", host.path)
        if new:
            replace(new, host.file)
        else:
            host.file.unlink()
    finally:
        if new:
            new.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """Write a file of the host by rename, readable for everybody."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(write_temporary(path.parent, [text.encode()], Attributes.own(0o644)), path)


def converge(host: Host, size: int, swappiness: int, check: bool) -> list[str]:
    """Bring the host to its state; return what was done.

    Args:
        host: the host.
        size: bytes; 0: no file.
        swappiness: the kernel's setting, left alone where there is no file.
        check: do nothing, and return what would be done.

    Raises:
        SwapError: it cannot be.
    """
    actions: list[str] = []
    right = host.size() == size
    in_use = host.in_use()
    if not right:
        actions.append("made" if size else "removed")
        if not check:
            change(host, size, in_use)
        in_use = False
    before, after = host.fstab_with(size > 0)
    if before != after:
        actions.append("listed" if size else "unlisted")
        if not check:
            write(host.fstab, after)
    if size and not in_use:
        actions.append("used")
        if not check:
            run("swapon", host.path)
    if not size:
        return actions
    setting, kept = f"vm.swappiness = {swappiness}\n", host.root / SYSCTL
    stays = kept.exists() and kept.read_text() == setting
    if not stays or host.swappiness() != swappiness:
        actions.append("set")
        if not check:
            write(kept, setting)
            (host.root / "proc/sys/vm/swappiness").write_text(f"{swappiness}\n")
    return actions


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "size": {"type": "int", "required": True},
            "swappiness": {"type": "int", "required": True},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    given = module.params
    if given["size"] % PAGE or given["size"] < 0:
        module.fail_json(msg=f"size is {given['size']}: it takes a multiple of {PAGE} bytes, or 0")
    if not 0 <= given["swappiness"] <= 200:
        module.fail_json(msg=f"swappiness is {given['swappiness']}: it takes 0 to 200")
    host = Host(Path(given["root"]), given["path"])
    try:
        actions = converge(host, given["size"], given["swappiness"], module.check_mode)
    except (SwapError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
