#!/usr/bin/python
"""Ansible module: finish what an interrupted dpkg began."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: interrupted_dpkg
short_description: Finish what an interrupted dpkg began
description:
  - A run, or a host, that is killed while packages are unpacked leaves dpkg with a journal that has
    to be gone through, packages that are unpacked and not configured, or unpacked halfway. Until
    that is put right, apt refuses to work or sees nothing to do.
  - Goes through the journal, takes away what was unpacked halfway (apt installs it again), and lets
    apt complete what is missing of the rest. Does nothing where dpkg was not interrupted.
options:
  lock_timeout:
    description:
      - How many seconds to wait while another program uses dpkg. Unattended upgrades hold it for
        minutes on a fresh host.
    type: int
    default: 600
notes:
  - Check mode tells whether there is something to finish.
author: The labstack authors
"""

EXAMPLES = r"""
- name: Finish what an interrupted dpkg began
  labstack.stack.interrupted_dpkg:
"""

RETURN = r"""
packages:
  description: The packages that dpkg had not finished, with their state as dpkg abbreviates it.
  returned: success
  type: list
  elements: str
  sample: ["iU  docker.io"]
"""

import re
import time
from collections.abc import Callable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# dpkg's journal: a file for each step that its database does not know of yet.
JOURNAL = Path("/var/lib/dpkg/updates")
# Its words for a lock of somebody else, which a package's own script does not use.
LOCKED = re.compile(r"lock.*(another process|temporarily unavailable)")
LOCK_POLL = 5.0  # seconds

# Runs a program: arguments -> exit status, standard output, standard error.
Run = Callable[[list[str]], tuple[int, str, str]]


class DpkgError(Exception):
    """A message for the user."""


def unfinished(listing: str) -> list[str]:
    """Return the lines of packages that dpkg left between two states, or in an error.

    `listing` has a line "<abbreviated state>|<package>" for each: wanted, state, error. Finished
    are n(ot installed), i(nstalled) and c(onfiguration left); an R is "reinstallation required".
    """
    found = []
    for line in listing.splitlines():
        state, _, package = line.partition("|")
        if state[1:2] not in ("n", "i", "c") or state[2:3] == "R":
            found.append(f"{state.strip()} {package}")
    return found


def halfway(packages: list[str]) -> list[str]:
    """Return the names of the packages that have to be unpacked again."""
    return [line.split()[-1] for line in packages if line.split()[0].endswith("R")]


def ask(run: Run) -> list[str]:
    """Return the unfinished packages. Raises DpkgError."""
    status, output, errors = run(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}|${Package}\\n"]
    )
    if status != 0:
        raise DpkgError(f"dpkg-query failed: {errors.strip()}")
    return unfinished(output)


def configure(run: Run, lock_timeout: int) -> None:
    """Let dpkg go through its journal and configure what is unpacked. Raises DpkgError.

    Unlike apt it does not wait for its lock. That it fails otherwise does not matter here: a
    package may wait for one that is not unpacked yet, which apt brings afterwards.
    """
    deadline = time.monotonic() + lock_timeout
    while True:
        status, _, errors = run(["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"])
        if status == 0 or not LOCKED.search(errors):
            return
        if time.monotonic() > deadline:
            raise DpkgError(
                f"Another program has used dpkg for {lock_timeout} s: {errors.strip()}\n"
                "See which: sudo fuser -v /var/lib/dpkg/lock-frontend. Wait for it, then run again."
            )
        # dpkg itself does not wait for its lock, and tells nobody when it is free.
        time.sleep(LOCK_POLL)


def finish(run: Run, lock_timeout: int) -> None:
    """Finish what is unfinished. Raises DpkgError with the programs' words."""
    configure(run, lock_timeout)
    for package in halfway(ask(run)):
        status, output, errors = run(["dpkg", "--remove", "--force-remove-reinstreq", package])
        if status != 0:
            raise DpkgError(f"dpkg could not take away {package}:\n{errors.strip()}")
    if not ask(run):
        return
    status, output, errors = run(
        [
            "apt-get",
            f"--option=DPkg::Lock::Timeout={lock_timeout}",
            "--option=Dpkg::Options::=--force-confold",
            "--assume-yes",
            "--fix-broken",
            "--no-install-recommends",
            "install",
        ]
    )
    left = ask(run)
    if left:
        raise DpkgError(
            "An interrupted dpkg could not be finished. Left: "
            + ", ".join(left)
            + f"\n{(errors.strip() or output.strip())[-2000:]}\n"
            "Type on the host: sudo dpkg --configure -a; sudo apt-get --fix-broken install"
        )


def interrupted(run: Run, journal: Path) -> tuple[bool, list[str]]:
    """Return whether there is something to finish, and the unfinished packages."""
    packages = ask(run)
    steps = [path for path in journal.glob("*") if path.name.isdigit()]
    return bool(packages or steps), packages


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={"lock_timeout": {"type": "int", "default": 600}},
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        found, packages = interrupted(module.run_command, JOURNAL)
        if found and not module.check_mode:
            finish(module.run_command, module.params["lock_timeout"])
    except DpkgError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=found, packages=packages)


if __name__ == "__main__":
    main()
