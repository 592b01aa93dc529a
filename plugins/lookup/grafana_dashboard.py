"""Lookup `grafana_dashboard`: dashboards of grafana.com, ready to be provisioned."""

from __future__ import annotations

DOCUMENTATION = r"""
name: grafana_dashboard
short_description: Prepare dashboards of grafana.com for provisioning
author: labstack (@labstack)
description:
  - Reads dashboards as grafana.com serves them and answers what its import dialogue asks for, so
    that Grafana can provision them from files.
  - The database's number goes (C(id)), the inputs (C(__inputs)) get the data source, and every
    variable that offers data sources of its type begins with it.
  - Each gets the tag C(grafana-com-<id>), by which it is found whatever its title.
options:
  _terms:
    description:
      - For each dashboard a dictionary with C(id), C(sha256) and perhaps a C(title) in place of its
        own.
    required: true
    type: list
    elements: dict
  directory:
    description: Directory of the controller where the JSON of each is, as C(<sha256>.json).
    required: true
    type: path
  datasource:
    description: The data source's C(name), C(type) and C(uid).
    required: true
    type: dict
"""

EXAMPLES = r"""
- name: Show the prepared dashboards
  ansible.builtin.debug:
    msg: >-
      {{ query('labstack.stack.grafana_dashboard', *grafana_imported_dashboards,
               directory='/tmp/dashboards',
               datasource={'name': 'Prometheus', 'type': 'prometheus', 'uid': 'prometheus'}) }}
"""

RETURN = r"""
_raw:
  description: The prepared dashboards.
  type: list
  elements: dict
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

Json = dict[str, Any]

# Variables of the role that asks.
_LIST = "grafana_imported_dashboards"
# As Grafana's own check: letters, digits, - and _, at most 40.
_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def _strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it changed; keys stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_strings(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _strings(item, change) for key, item in value.items()}
    return value


def _answers(number: int, inputs: list[Json], source: Json) -> dict[str, str]:
    """Answer the import dialogue: name of each input and its value. Raises AnsibleLookupError."""
    values: dict[str, str] = {}
    for entry in inputs:
        name, kind = str(entry.get("name")), entry.get("type")
        if kind == "datasource" and entry.get("pluginId") == source["type"]:
            values[name] = source["uid"]
        elif kind == "constant":
            values[name] = str(entry.get("value") or "")
        else:
            raise AnsibleLookupError(
                f"Dashboard {number} asks for '{name}' ({entry.get('pluginId') or kind}), and here "
                f"is only a data source of type {source['type']}. Remove it from {_LIST}."
            )
    return values


def prepare(entry: Json, text: str, source: Json) -> Json:
    """Return a dashboard's JSON, ready for provisioning.

    Args:
        entry: its `id`, and perhaps a `title` in place of its own.
        text: the JSON as grafana.com serves it.
        source: `name`, `type` and `uid` of the data source.

    Raises:
        AnsibleLookupError: it is no dashboard, or asks for what is not here.
    """
    number = entry["id"]
    try:
        document = json.loads(text)
    except ValueError as error:
        raise AnsibleLookupError(
            f"Dashboard {number} is no JSON ({error}), though its checksum is right: the sha256 in "
            f"{_LIST} belongs to something else."
        ) from error
    if not isinstance(document, dict) or not document.get("title"):
        raise AnsibleLookupError(f"Dashboard {number} has no title: it is no dashboard's JSON.")
    values = _answers(number, document.get("__inputs") or [], source)
    for key in ("id", "__inputs", "__requires", "__elements"):
        document.pop(key, None)

    def answered(text: str) -> str:
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", value)
        return text

    prepared: Json = _strings(document, answered)
    for variable in (prepared.get("templating") or {}).get("list") or []:
        if variable.get("type") == "datasource" and variable.get("query") == source["type"]:
            variable["current"] = {"selected": True, "text": source["name"], "value": source["uid"]}
    prepared["title"] = entry.get("title") or prepared["title"]
    # By it the verification finds the dashboard, whatever title its author gave it.
    prepared["tags"] = [*(prepared.get("tags") or []), f"grafana-com-{number}"]
    if not _UID.fullmatch(str(prepared.get("uid") or "")):
        prepared["uid"] = f"grafana-com-{number}"
    return prepared


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """Gives Ansible the lookup."""

    def run(
        self, terms: list[Json], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Json]:
        """Return each dashboard of `terms`, prepared. Raises AnsibleLookupError."""
        self.set_options(var_options=variables, direct=kwargs)
        directory, source = Path(self.get_option("directory")), self.get_option("datasource")
        prepared = []
        for entry in terms:
            path = directory / f"{entry['sha256'].lower()}.json"
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise AnsibleLookupError(
                    f"Dashboard {entry['id']} is not there: {error}"
                ) from error
            prepared.append(prepare(entry, text, source))
        return prepared
