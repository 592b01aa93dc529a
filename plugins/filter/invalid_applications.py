"""Filter `invalid_applications`: what is wrong with the variable webapp_apps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils.applications import (
    check_places,
    check_settings,
)
from ..module_utils.problems import Problem, report

DOCUMENTATION = r"""
name: invalid_applications
short_description: tell what is wrong with the list of applications
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Looks at C(webapp_apps) before anything is changed. Each problem names the entry and shows the
    smallest valid form.
positional: bundled
options:
  _input:
    description: The applications by name.
    type: dict
    required: true
  bundled:
    description: Whether the bundled application answers at C(/).
    type: bool
    default: true
"""

EXAMPLES = r"""
wrong: "{{ {'shop': {'source': '../shop'}} | labstack.stack.invalid_applications }}"
"""

RETURN = r"""
_value:
  description: The message; empty when all is well.
  type: str
"""


def invalid_applications(apps: object, bundled: bool = True) -> str:
    """Return what is wrong; see DOCUMENTATION."""
    if not isinstance(apps, Mapping):
        form = "webapp_apps:\n  shop: {source: ../shop, path: /shop}"
        return report([Problem("webapp_apps is no dictionary of applications by name", form)])
    problems = [problem for name in apps for problem in check_settings(str(name), apps[name])]
    problems = problems or check_places(apps, bundled)
    return report(problems) if problems else ""


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"invalid_applications": invalid_applications}
