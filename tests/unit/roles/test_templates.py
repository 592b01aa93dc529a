"""Every template of every role renders with the delivered values, and is what its name says."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import yaml
from ansible.errors import AnsibleError

from tests.unit.roles.rendering import evaluate, parse_unit, render, templates


def _parse_deb822(text: str) -> None:
    for line in text.splitlines():
        assert line.startswith("#") or ": " in line or not line.strip(), line


def _parse_units(text: str) -> None:
    assert parse_unit(text), "no section"


class _Compose(yaml.SafeLoader):
    """Knows Compose's tags for what takes the place of another file's value."""


def _nothing(_loader: yaml.SafeLoader, _node: yaml.Node) -> None:
    return None


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> object:
    return loader.construct_mapping(node, deep=True)


_Compose.add_constructor("!reset", _nothing)
_Compose.add_constructor("!override", _mapping)


PARSERS: dict[str, Callable[[str], object]] = {
    ".conf": lambda text: text,
    ".ini": _parse_units,
    ".json": json.loads,
    ".mount": _parse_units,
    ".path": _parse_units,
    ".service": _parse_units,
    ".socket": _parse_units,
    ".sources": _parse_deb822,
    ".swap": _parse_units,
    ".timer": _parse_units,
    ".yaml": lambda text: yaml.load(text, _Compose),  # noqa: S506 - a SafeLoader
    ".yml": yaml.safe_load,
}


@pytest.mark.parametrize(("role", "template"), templates())
def test_template_renders_and_parses(role: str, template: str) -> None:
    text = render(role, template)
    assert text.strip()
    assert text.endswith("\n"), "a file ends with a newline"
    suffix = "." + template.removesuffix(".j2").rsplit(".", 1)[-1]
    parse = PARSERS.get(suffix)
    if parse is not None:
        assert parse(text) is not None or suffix not in (".yml", ".yaml", ".json")


def test_undefined_variable_fails() -> None:
    with pytest.raises(AnsibleError, match="not_there"):
        evaluate("docker", "not_there.at_all")
