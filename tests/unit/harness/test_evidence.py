from __future__ import annotations

import types

from tests import evidence


def test_units_and_projects_are_shown() -> None:
    module = types.SimpleNamespace(UNITS=["prometheus"], CONTAINERS=["webapp"])
    text = "\n".join(evidence.commands(module))
    assert "journalctl --no-pager --unit=prometheus" in text
    assert "docker compose --project-name webapp logs" in text


def test_a_module_that_names_nothing_shows_nothing() -> None:
    assert evidence.commands(types.SimpleNamespace()) == []
