"""Filter `listeners`: the table of services, as those ask it who depend on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from .listener import listener

DOCUMENTATION = r"""
name: listeners
short_description: say of each service where it listens, for whom, and whether it is there
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Turns the table of services into what others ask of it.
positional: roles
options:
  _input:
    description:
      - A dictionary of services. Each has C(listen), an address and port or a port alone; without
        it the service does not listen, and is left out.
      - C(exposure) is V(everybody), V(admins), V(monitoring) or V(host).
      - C(role) names what brings the service, by default its own name.
      - C(unit) and C(variable) say who holds the port and which variable chooses it.
      - C(scrape) is its job, for P(labstack.stack.scrape_jobs#filter).
    type: dict
    required: true
  roles:
    description: The roles that this host has.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
# [9100]
closed_ports: "{{ ({'node_exporter': {'listen': '127.0.0.1:9100', 'exposure': 'admins'}}
  | labstack.stack.listeners(['node_exporter'])).values()
  | selectattr('closed') | map(attribute='port') }}"
"""

RETURN = r"""
_value:
  description:
    - The services that listen, each with what P(labstack.stack.listener#filter) returns,
      C(exposure), C(scrape), C(present), C(closed) (whether nobody else may reach it), and
      C(claim), the port as the role preflight takes it.
  type: dict
"""

_EXPOSURES = ("everybody", "admins", "monitoring", "host")


def listeners(
    services: Mapping[str, Mapping[str, Any]], roles: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return where each service listens; see DOCUMENTATION.

    Raises AnsibleFilterError where a port or an exposure is invalid.
    """
    found = {}
    for name, service in services.items():
        if "listen" not in service:
            continue
        exposure, variable = service.get("exposure"), service.get("variable")
        if exposure not in _EXPOSURES:
            raise AnsibleFilterError(
                f"stack_services.{name}.exposure is {exposure!r}; "
                f"it is one of {', '.join(_EXPOSURES)} (group_vars/all/services.yml)"
            )
        place = listener(service)
        claim = {"port": place["port"], "owner": service.get("unit"), "variable": variable}
        found[name] = {
            **place,
            "exposure": exposure,
            "scrape": service.get("scrape"),
            "present": service.get("role", name) in roles,
            "closed": place["loopback"] or exposure == "host",
            "claim": claim if variable else None,
        }
    return found


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., dict[str, dict[str, Any]]]]:
        """Return the filters of this file by name."""
        return {"listeners": listeners}
