"""Inventory plugin: the stack's EC2 instance, found by its tag."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ec2
short_description: The stack's EC2 instance, found by its tag
description:
  - One host with a name that stays, whatever address the instance has.
  - Its host key is filed under the instance's id, so that it is known on every address, and another
    machine on a known address is not taken for it.
  - One request in one region. C(amazon.aws.aws_ec2) asks every region where none is named, which a
    Learner Lab forbids, and says "No hosts matched" where credentials are missing.
options:
  plugin:
    description: The plugin's name.
    required: true
    choices: [labstack.stack.ec2]
  host:
    description: The host's name in the inventory.
    type: str
    default: ec2
  name:
    description: Value of the instance's tag C(labstack).
    type: str
    default: labstack
    env:
      - name: EC2_NAME
  region:
    description: Region; empty takes C(AWS_REGION), C(AWS_DEFAULT_REGION) or the profile's.
    type: str
    default: ""
  endpoint_url:
    description: Another address of the service; empty takes AWS's own.
    type: str
    default: ""
"""

EXAMPLES = r"""
plugin: labstack.stack.ec2
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

from ..module_utils.ec2_lab import TAG, Account, AwsError, Instance, connection

ROOT = Path(__file__).resolve().parents[2]

OTHER_WAY = (
    "or, with the address from the console: EC2_IP=203.0.113.7 ./lab run ansible-playbook site.yml"
)


def find(name: str, region: str, endpoint_url: str) -> Instance:
    """Returns the instance with the tag that runs and has an address. Raises AwsError."""
    account = Account(region, endpoint_url)
    instance = account.instance(name)
    if instance is None:
        raise AwsError(
            f"No instance in {account.region} carries the tag {TAG}={name}.\n"
            "-> ./lab ec2 up    # launches one"
        )
    if instance.state not in ("pending", "running"):
        raise AwsError(f"The instance {instance.id} is {instance.state}.\n-> ./lab ec2 up")
    if not instance.address:
        raise AwsError(
            f"The instance {instance.id} has no public address (yet).\n"
            "-> wait a moment, then the same again; ./lab ec2 status"
        )
    return instance


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """One host: the instance with the tag."""

    NAME = "labstack.stack.ec2"

    def verify_file(self, path: str) -> bool:
        """Takes files named aws_ec2.yml."""
        return bool(super().verify_file(path)) and path.endswith(("aws_ec2.yml", "aws_ec2.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Adds the host. Raises AnsibleParserError with the remedy."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            instance = find(
                self.get_option("name"), self.get_option("region"), self.get_option("endpoint_url")
            )
        except AwsError as error:
            raise AnsibleParserError(f"{error}\n-> {OTHER_WAY}") from error
        host = inventory.add_host(self.get_option("host"))
        known_hosts = str(ROOT / ".lab" / "ec2_known_hosts")
        Path(known_hosts).parent.mkdir(exist_ok=True)
        for variable, value in connection(instance, known_hosts).items():
            inventory.set_variable(host, variable, value)
