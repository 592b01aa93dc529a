"""Filter `application_plan`: what is to be done with a Compose application."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.applications import plan, read
from ..module_utils.problems import report

DOCUMENTATION = r"""
name: application_plan
short_description: read the contract of a Compose application
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Reads what C(docker compose config --format json) says of a project, its field C(x-labstack)
    among it, and finds what is not said and plain, as the front service of a project that
    publishes one port.
  - What is wrong is reported together, each with its smallest valid form.
positional: name, settings, release, file, secrets_directory, comes_back
options:
  _input:
    description: What Compose says, as text.
    type: str
    required: true
  name:
    description: The application's name, its key in C(webapp_apps).
    type: str
    required: true
  settings:
    description: Its entry in C(webapp_apps).
    type: dict
    required: true
  release:
    description: The release's name.
    type: str
    required: true
  file:
    description: The name of the Compose file, for messages.
    type: str
    default: compose.yaml
  secrets_directory:
    description: Where the host keeps secrets.
    type: str
    default: /etc/labstack/secrets
  comes_back:
    description:
      - Whether it is an earlier release. What O(settings) names and it does not have is told then,
        instead of refused.
    type: bool
    default: false
"""

EXAMPLES = r"""
plan: "{{ said.stdout | labstack.stack.application_plan('shop', webapp_apps.shop, release.name) }}"
"""

RETURN = r"""
_value:
  description:
    - C(front) (C(service), C(port), C(health)), C(release) (services that run once), C(data)
      (C(services), C(volumes), C(mysql)), C(others), C(metrics), C(verify), C(memory), C(secrets),
      C(built), and C(override), what the generated Compose file says of each service.
    - C(told) is what was found without being said, C(warnings) what works and should not stay.
  type: dict
"""


def application_plan(  # noqa: PLR0917 - Jinja's arguments are positional
    said: str,
    name: str,
    settings: Mapping[str, Any],
    release: str,
    file: str = "compose.yaml",
    secrets_directory: str = "/etc/labstack/secrets",
    comes_back: bool = False,
) -> dict[str, Any]:
    """Return the plan; see DOCUMENTATION. Raises AnsibleFilterError with all problems."""
    app = read(name, json.loads(said), dict(settings), file, comes_back)
    found_plan, found = plan(app, release, secrets_directory)
    if found.problems:
        raise AnsibleFilterError(report(found.problems, f" in the application {name}"))
    return {**found_plan, "told": found.told, "warnings": found.warnings}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """Return the filters of this file by name."""
        return {"application_plan": application_plan}
