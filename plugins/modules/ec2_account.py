#!/usr/bin/python
"""Ansible module: looks at an AWS account as provisioning needs it, and explains refusals."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_account
short_description: Look at an AWS account, and explain what it refuses
description:
  - Runs on the controller and changes nothing. It looks for credentials and a region, asks EC2 for
    the instance with the tag and for the key pairs, and fails with one sentence and the remedy
    where that does not work.
  - EC2 is asked and not STS, because STS still answers when a Learner Lab's session has ended.
  - With O(said) it asks nobody, and fails with what that error means.
options:
  name:
    description: Value of the tag C(labstack) of the instance.
    type: str
    default: labstack
  region:
    description: Region; empty takes C(AWS_REGION), C(AWS_DEFAULT_REGION) or the profile's.
    type: str
    default: ""
  endpoint_url:
    description: Another address of the service; empty takes AWS's own.
    type: str
    default: ""
  key_name:
    description:
      - A key pair that must exist in the region. Empty takes C(vockey) where it exists.
    type: str
    default: ""
  public_key:
    description:
      - The public key to upload where no key pair is there. Empty takes the public half of
        C(EC2_KEY), else the first of ~/.ssh/id_ed25519.pub, id_ecdsa.pub and id_rsa.pub.
    type: path
    default: ""
  known_hosts:
    description: The file in which the host keys of instances are pinned.
    type: path
    required: true
  other_regions:
    description: Regions in which a key pair that is missing here is looked for.
    type: list
    elements: str
    default: [us-east-1, us-west-2]
  said:
    description: The message of another AWS module that failed.
    type: str
author: labstack (@labstack)
"""

EXAMPLES = r"""
- name: Look at the account
  labstack.stack.ec2_account:
    name: labstack
    known_hosts: .lab/ec2_known_hosts
  delegate_to: localhost
  become: false
  register: account
"""

RETURN = r"""
region:
  description: The region that was asked.
  returned: success
  type: str
instance:
  description: The instance with the tag, by id, state, address, key_name, type, started and region.
    Empty without one.
  returned: success
  type: dict
key_name:
  description: The key pair to launch with; empty where one has to be uploaded.
  returned: success
  type: str
public_key:
  description: The public key to upload as a key pair; empty where none has to be.
  returned: success
  type: str
key_file:
  description: The file of its private key; empty leaves it to ssh.
  returned: success
  type: str
connection:
  description: Variables with which Ansible reaches the instance; empty while it has no address.
  returned: success
  type: dict
"""

import os
import shlex
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.aws_diagnosis import explain
from ..module_utils.ec2_lab import LEARNER_LAB_KEY_PAIR, Account, AwsError, connection, private_key


def choose_key(account: Account, wanted: str, other_regions: list[str]) -> str:
    """Returns the key pair to launch with; empty: one has to be uploaded. Raises AwsError."""
    there = account.key_pairs()
    if not wanted:
        return LEARNER_LAB_KEY_PAIR if LEARNER_LAB_KEY_PAIR in there else ""
    if wanted in there:
        return wanted
    elsewhere = account.regions_with_key(
        wanted, [region for region in other_regions if region != account.region]
    )
    fix = "\n".join(
        [f"-> AWS_REGION={region} before the command: it is there" for region in elsewhere]
        or [f"-> -e ec2_instance_key_name=NAME, one of: {', '.join(sorted(there)) or 'none'}"]
    )
    raise AwsError(
        f"The key pair {wanted} (ec2_instance_key_name) does not exist in the region "
        f"{account.region}.\n{fix}"
    )


def check_private_key(key_pair: str, key_file: str) -> None:
    """Refuses a Learner Lab's key pair without its private key, before anything is launched.

    Raises:
        AwsError: nobody could log in to such an instance.
    """
    if key_pair == LEARNER_LAB_KEY_PAIR and not key_file and not os.environ.get("SSH_AUTH_SOCK"):
        raise AwsError(
            "The private key of the key pair vockey, labsuser.pem, is not on this computer.\n"
            "-> in the Learner Lab: AWS Details > Download PEM, then\n"
            "-> chmod 600 ~/Downloads/labsuser.pem && EC2_KEY=~/Downloads/labsuser.pem ./lab ec2 up"
        )


def public_key(given: str) -> str:
    """Returns the text of the public key to upload. Raises AwsError where there is none."""
    private = os.environ.get("EC2_KEY", "")
    usual = [f"~/.ssh/{name}.pub" for name in ("id_ed25519", "id_ecdsa", "id_rsa")]
    candidates = [given] if given else [f"{private}.pub"] if private else usual
    for candidate in candidates:
        path = Path(candidate).expanduser()
        if path.is_file():
            return path.read_text(encoding="ascii", errors="replace").strip()
    raise AwsError(
        f"There is no SSH key to log in with: none of {', '.join(candidates)} exists.\n"
        + (
            f"-> ssh-keygen -y -f {shlex.quote(private)} > {shlex.quote(private + '.pub')}"
            if private and not given
            else "-> ssh-keygen -t ed25519    # makes one; Enter answers its questions"
        )
    )


def look(params: dict[str, Any]) -> dict[str, Any]:
    """Returns the module's result. Raises AwsError."""
    account = Account(params["region"], params["endpoint_url"])
    instance = account.instance(params["name"])
    if instance:
        key_name, upload = instance.key_name, ""
    else:
        key_name = choose_key(account, params["key_name"], params["other_regions"])
        upload = "" if key_name else public_key(params["public_key"])
    key_file = private_key(key_name)
    check_private_key(key_name, key_file)
    return {
        "region": account.region,
        "instance": instance.as_dict() if instance else {},
        "key_name": key_name,
        "public_key": upload,
        "key_file": key_file,
        "connection": (
            connection(instance, params["known_hosts"]) if instance and instance.address else {}
        ),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "labstack"},
            "region": {"type": "str", "default": ""},
            "endpoint_url": {"type": "str", "default": ""},
            "key_name": {"type": "str", "default": "", "no_log": False},
            "public_key": {"type": "path", "default": ""},
            "known_hosts": {"type": "path", "required": True},
            "other_regions": {
                "type": "list",
                "elements": "str",
                "default": ["us-east-1", "us-west-2"],
            },
            "said": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if module.params["said"] is not None:
        module.fail_json(msg=explain(module.params["said"]))
    try:
        result = look(module.params)
    except AwsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
