"""Filter `listener`: where a service of the table listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: listener
short_description: say where a service of the table listens
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Reads the address on which a service listens.
options:
  _input:
    description:
      - A service. C(listen) is an address and port, or a port alone.
      - C(variable) names the variable that chooses it, for the message of an error.
    type: dict
    required: true
"""

EXAMPLES = r"""
# http://localhost:9090
url: "http://{{ ({'listen': '0.0.0.0:9090'} | labstack.stack.listener).address }}"
"""

RETURN = r"""
_value:
  description:
    - C(port), C(host) and C(address) as the host itself reaches the service, and C(loopback),
      whether nobody else does.
  type: dict
"""

_EVERY_ADDRESS = {"", "0.0.0.0", "[::]"}  # noqa: S104 - compared with, not bound to
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


def listener(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a service listens; see DOCUMENTATION.

    Raises AnsibleFilterError where there is no port.
    """
    listen = str(service["listen"])
    bind, _, port = listen.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        variable = service.get("variable") or "listen"
        form = "8080" if variable.endswith("_port") else '"127.0.0.1:9090"'
        raise AnsibleFilterError(
            f"{variable} is {listen!r}, which has no port from 1 to 65535. "
            f"Smallest valid form: {variable}: {form}"
        )
    host = "localhost" if bind in _EVERY_ADDRESS | _LOOPBACK else bind
    return {
        "port": int(port),
        "host": host,
        "address": f"{host}:{port}",
        "loopback": bind in _LOOPBACK or bind.startswith("127."),
    }


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """Return the filters of this file by name."""
        return {"listener": listener}
