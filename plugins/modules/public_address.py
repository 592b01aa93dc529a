#!/usr/bin/python
"""Ansible module: finds the public address under which this computer is seen from outside."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: public_address
short_description: Find the public address under which this computer is seen
description:
  - Asks a server that answers with the asker's address, and changes nothing.
options:
  url:
    description: The server's address; it answers with an IPv4 address as text.
    type: str
    required: true
  variable:
    description: The variable that a message names as the way around.
    type: str
    required: true
  timeout:
    description: Seconds to wait.
    type: float
    default: 10
author: labstack
"""

EXAMPLES = r"""
- name: Find this computer's public address
  labstack.stack.public_address:
    url: https://checkip.example.net
    variable: stack_admin_cidrs
  delegate_to: localhost
  become: false
"""

RETURN = r"""
cidr:
  description: The address as a network of one.
  returned: success
  type: str
  sample: 203.0.113.7/32
"""

import http.client
import ipaddress

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

LONGEST = 200  # bytes; an address has 15


def cidr_of(answer: str) -> str:
    """Returns the answer's IPv4 address as a network of one. Raises ValueError for another text."""
    return f"{ipaddress.IPv4Address(answer.strip())}/32"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "variable": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 10.0},
        },
        supports_check_mode=True,
    )
    url, variable = module.params["url"], module.params["variable"]
    try:
        with open_url(url, timeout=module.params["timeout"]) as answer:
            cidr = cidr_of(answer.read(LONGEST).decode("ascii", "replace"))
    except (OSError, ValueError, http.client.HTTPException) as error:
        module.fail_json(
            msg=f"This computer's public address could not be found: {url} says: {error}.\n"
            f'-> give it in group_vars/all/stack.yml, {variable}: ["203.0.113.7/32"], or with the '
            f'command: -e \'{{"{variable}": ["203.0.113.7/32"]}}\''
        )
    module.exit_json(changed=False, cidr=cidr)


if __name__ == "__main__":
    main()
