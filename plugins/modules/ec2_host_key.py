#!/usr/bin/python
"""Ansible module: pins an instance's host key before the first login, from its console output."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_host_key
short_description: Pin an instance's SSH host key from its console output
description:
  - cloud-init prints the host keys on the console when it has made them. AWS shows the console to
    the account only, so that a key read there is the instance's, and nobody in between can pass
    off another.
  - Files the keys under the instance's id, for C(HostKeyAlias). A key that is filed already stays.
  - The console comes some minutes late on older instance types, and only the first boot prints the
    keys. Without them nothing is written, and the first login pins what it meets.
options:
  instance_id:
    description: The instance.
    type: str
    required: true
  known_hosts:
    description: The file; it is made where it is missing.
    type: path
    required: true
  region:
    description: Region; empty takes C(AWS_REGION), C(AWS_DEFAULT_REGION) or the profile's.
    type: str
    default: ""
  endpoint_url:
    description: Another address of the service; empty takes AWS's own.
    type: str
    default: ""
author: labstack (@labstack)
"""

EXAMPLES = r"""
- name: Pin the host key
  labstack.stack.ec2_host_key:
    instance_id: i-0123456789abcdef0
    known_hosts: .lab/ec2_known_hosts
  delegate_to: localhost
  become: false
"""

RETURN = r"""
source:
  description: known (it was filed), console, or login (the first login will pin it).
  returned: success
  type: str
"""

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ec2_lab import Account, AwsError

# What cloud-init's cc_ssh prints (write-ssh-key-fingerprints). Log prefixes may stand before a key.
_KEYS = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)
_KEY = re.compile(r"((?:ssh|ecdsa)-[a-z0-9-]+) ([A-Za-z0-9+/]{40,}={0,2})")


def console_keys(text: str) -> list[str]:
    """Returns the host keys of a console output as "type base64", of the last boot that shows them.

    Args:
        text: the console output.
    """
    blocks = _KEYS.findall(text)
    return [f"{kind} {key}" for kind, key in _KEY.findall(blocks[-1])] if blocks else []


def is_filed(text: str, name: str) -> bool:
    """Says whether a known_hosts text has a plain entry for the name."""
    return any(name in line.split(" ")[0].split(",") for line in text.splitlines())


def append(path: Path, lines: list[str]) -> None:
    """Adds lines to the file, which is the owner's alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="ascii") as file:
        file.write("".join(f"{line}\n" for line in lines))


def read_console(params: dict[str, Any]) -> str:
    """Returns the instance's console output; empty while AWS has none. Raises AwsError."""
    account = Account(params["region"], params["endpoint_url"])
    answer = account.ask("get_console_output", InstanceId=params["instance_id"])
    # boto3 decodes it; what it cannot decode it leaves as it came.
    output: str = answer.get("Output") or ""
    if "SSH HOST KEY" in output or " " in output:
        return output
    try:
        return base64.b64decode(output, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return output


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instance_id": {"type": "str", "required": True},
            "known_hosts": {"type": "path", "required": True, "no_log": False},
            "region": {"type": "str", "default": ""},
            "endpoint_url": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    path, name = Path(module.params["known_hosts"]), module.params["instance_id"]
    try:
        if path.exists() and is_filed(path.read_text(encoding="ascii", errors="replace"), name):
            module.exit_json(changed=False, source="known")
        keys = console_keys(read_console(module.params))
        if keys and not module.check_mode:
            append(path, [f"{name} {key}" for key in keys])
    except AwsError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{path} cannot be written: {error.strerror}.\n-> ls -l {path}")
    module.exit_json(changed=bool(keys), source="console" if keys else "login")


if __name__ == "__main__":
    main()
