#!/usr/bin/python
"""Ansible module: removes a Compose project with its images, without needing its files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: compose_removed
short_description: Remove a Compose project and its images
description:
  - Finds containers, networks and volumes by the label that Compose gives them, so that it works
    without the project's files, and after a run that was cut short.
  - On a host without Docker there is nothing to do.
options:
  project:
    description: Name of the Compose project.
    type: str
    required: true
  images:
    description: Images that begin with this are removed, and the cache of their builds.
    type: str
    required: true
  volumes:
    description: Remove the volumes too, with all data.
    type: bool
    default: false
author: labstack
"""

EXAMPLES = r"""
- name: Remove the application, but not its data
  labstack.stack.compose_removed:
    project: webapp
    images: labstack/
"""

RETURN = r"""
removed:
  description: What was there, as "container x", "network x", "volume x", "image x".
  returned: always
  type: list
  elements: str
"""

import shutil
import subprocess
from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule


class DockerError(Exception):
    """Docker refused; the message has its words."""


def docker(*arguments: str) -> list[str]:
    """Runs docker and returns the lines of its output. Raises DockerError."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DockerError(f"docker {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.split()


def kinds(project: str, volumes: bool) -> dict[str, tuple[list[str], list[str]]]:
    """Returns what is removed, by kind and in order: how it is found, and how it is removed."""
    label = ["--filter", f"label=com.docker.compose.project={project}"]
    found: dict[str, tuple[list[str], list[str]]] = {
        "container": (
            ["ps", "--all", "--format", "{{.Names}}", *label],
            ["rm", "--force", "--volumes"],
        ),
        "network": (["network", "ls", "--format", "{{.Name}}", *label], ["network", "rm"]),
    }
    if volumes:
        found["volume"] = (["volume", "ls", "--format", "{{.Name}}", *label], ["volume", "rm"])
    return found


def images_of(prefix: str) -> list[str]:
    """Returns the images that begin with the prefix, as name:tag."""
    names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    return [name for name in names if name.startswith(prefix)]


def remove(project: str, prefix: str, volumes: bool, check_mode: bool) -> list[str]:
    """Removes the project; returns what was there. Raises DockerError."""
    removed: list[str] = []

    def take(kind: str, names: Sequence[str], command: Sequence[str]) -> None:
        removed.extend(f"{kind} {name}" for name in names)
        if names and not check_mode:
            docker(*command, *names)

    for kind, (find, command) in kinds(project, volumes).items():
        take(kind, docker(*find), command)
    take("image", images_of(prefix), ["image", "rm", "--force"])
    if removed and not check_mode:
        docker("builder", "prune", "--all", "--force")
    return removed


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "str", "required": True},
            "images": {"type": "str", "required": True},
            "volumes": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    removed: list[str] = []
    try:
        if shutil.which("docker"):
            removed = remove(
                module.params["project"],
                module.params["images"],
                module.params["volumes"],
                module.check_mode,
            )
    except DockerError as error:
        module.fail_json(msg=f"{error}\n-> sudo systemctl start docker, then the same again")
    module.exit_json(changed=bool(removed), removed=removed)


if __name__ == "__main__":
    main()
