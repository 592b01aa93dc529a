"""Action plugin `service`: as `files`, with the unit beside the files."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from .files import ActionModule as FilesAction


class ActionModule(FilesAction):
    """Turns the templates of the files and of the unit into contents."""

    _MODULE = "labstack.stack.service"

    def module_arguments(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the task's arguments with contents in place of templates and sources.

        Raises AnsibleActionFail, AnsibleError.
        """
        arguments = super().module_arguments(variables)
        unit = arguments.get("unit")
        if unit is None:
            return arguments
        if not isinstance(unit, dict):
            raise AnsibleActionFail("unit takes a template: unit: {template: app.service.j2}")
        # The name is for messages.
        file = self._with_content({"dest": "The unit", **unit}, variables)
        del file["dest"]
        return {**arguments, "unit": file}
