"""Filter `invalid_values`: what is wrong with the values of variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils.variables import invalid

DOCUMENTATION = r"""
name: invalid_values
short_description: what is wrong with the values of variables
version_added: "0.1.0"
author: labstack (@labstack)
description:
  - Returns a message for each variable with an invalid value. The form follows from the name, as an
    address and port from C(prometheus_listen_address). Each message names that variable alone and
    shows a valid value.
options:
  _input:
    description: The values by the variables' names.
    type: dict
    required: true
"""

EXAMPLES = r"""
# ['prometheus_listen_address: invalid value "9090".\n-> a valid one: ...']
wrong: "{{ {'prometheus_listen_address': '9090'} | labstack.stack.invalid_values }}"
"""

RETURN = r"""
_value:
  description: The messages; none when all is well.
  type: list
  elements: str
"""


def invalid_values(values: Mapping[str, Any]) -> list[str]:
    """Return a message for each variable at fault."""
    problems = (invalid(name, value) for name, value in values.items())
    return [f"{problem.what}\n-> {problem.fix}" for problem in problems if problem]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters of this file by name."""
        return {"invalid_values": invalid_values}
