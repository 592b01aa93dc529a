"""Inventory plugin: the stand-in hosts of a lab, found by their containers' label."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lab
short_description: The stand-in hosts of a lab, found by their containers' label
description:
  - Each running container that the testbed has made for the lab is a host of the group C(lab),
    named as the container and reached over SSH at its address on Docker's bridge.
  - Docker itself picks the containers, so that others on the machine may come and go meanwhile.
    C(community.docker.docker_containers) lists all of them and then asks for each, and fails for
    one that was removed in between.
options:
  plugin:
    description: The plugin's name.
    required: true
    choices: [labstack.stack.lab]
  lab:
    description: The lab's name, which is the value of the label C(labstack.lab).
    type: str
    default: lab
    env:
      - name: LABSTACK_LAB
"""

EXAMPLES = r"""
plugin: labstack.stack.lab
"""

from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

try:
    import docker
except ImportError:  # said where it is needed, so that the documentation can be read without it
    docker = None  # type: ignore[assignment]

GROUP = "lab"


def addresses(lab: str) -> dict[str, str]:
    """Return the addresses of the lab's running hosts by their names.

    Raises:
        docker.errors.DockerException: no engine answers.
    """
    client = docker.from_env()
    try:
        containers = client.containers.list(
            filters={"label": f"labstack.lab={lab}"}, ignore_removed=True
        )
    finally:
        client.close()
    found = {}
    for container in containers:
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        address = next((network["IPAddress"] for network in networks), "")
        # A container that is just stopping has none any more.
        if address:
            found[str(container.name)] = str(address)
    return found


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """The hosts of one lab."""

    NAME = "labstack.stack.lab"

    def verify_file(self, path: str) -> bool:
        """Take files named docker.yml."""
        return bool(super().verify_file(path)) and path.endswith("docker.yml")

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the hosts. Raises AnsibleParserError with the remedy."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        if docker is None:
            raise AnsibleParserError(
                "The Python library docker is missing. Type: pip install docker"
            )
        try:
            hosts = addresses(self.get_option("lab"))
        except docker.errors.DockerException as error:
            raise AnsibleParserError(
                f"No Docker Engine answers, so there is no stand-in host: {error}\n-> ./lab up"
            ) from error
        inventory.add_group(GROUP)
        for name, address in hosts.items():
            inventory.add_host(name, group=GROUP)
            inventory.set_variable(name, "ansible_host", address)
            inventory.set_variable(name, "ansible_port", 22)
