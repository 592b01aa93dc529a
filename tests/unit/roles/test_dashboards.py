"""Our dashboards are code: what every one of them must have, so that none is a special case."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.role_readme import REPOSITORY, ROLES

FILES = sorted((ROLES / "grafana" / "files" / "dashboards").glob("*.json"))
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text(encoding="utf-8")) for path in FILES
}
DATA_SOURCE = {"type": "prometheus", "uid": "prometheus"}
# Of grafana.com, which the overview links to.
IMPORTED = {"rYdddlPWk"}
# What an English title would most likely have in it.
ENGLISH = re.compile(
    r"\b(the|of|and|usage|used|memory|disk|requests?|errors?|rate|free|total|uptime|available|"
    r"connections|queries|overview|alerts|duration|network)\b",
    re.IGNORECASE,
)
each_dashboard = pytest.mark.parametrize("name", DASHBOARDS)


def panels_of(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions_of(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in panels_of(dashboard):
        for target in panel.get("targets", []):
            yield target["expr"]


def test_uids_and_titles_are_unique() -> None:
    for key in ("uid", "title"):
        values = [dashboard[key] for dashboard in DASHBOARDS.values()]
        assert len(set(values)) == len(values), values


@each_dashboard
def test_a_file_is_named_after_its_uid_and_has_no_number(name: str) -> None:
    assert name == DASHBOARDS[name]["uid"] + ".json"
    assert "id" not in DASHBOARDS[name]


@each_dashboard
def test_every_panel_and_target_asks_the_fixed_data_source(name: str) -> None:
    for panel in panels_of(DASHBOARDS[name]):
        assert panel["datasource"] == DATA_SOURCE, panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == DATA_SOURCE, panel["title"]


@each_dashboard
def test_every_panel_has_a_unit_a_description_and_a_query(name: str) -> None:
    for panel in panels_of(DASHBOARDS[name]):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"], panel["title"]
        assert all(target["expr"].strip() for target in panel["targets"]), panel["title"]
        assert panel["targets"], panel["title"]


@each_dashboard
def test_no_query_names_an_instance_or_a_host(name: str) -> None:
    for expression in expressions_of(DASHBOARDS[name]):
        assert not re.search(r"\b(instance|host|nodename)\s*=~?\s*\"", expression), expression
        assert not re.search(r"localhost|\d+\.\d+\.\d+\.\d+|:9\d{3}", expression), expression


@each_dashboard
def test_titles_are_spanish(name: str) -> None:
    titles = [DASHBOARDS[name]["title"], *(p["title"] for p in panels_of(DASHBOARDS[name]))]
    assert [title for title in titles if ENGLISH.search(title)] == []


@each_dashboard
def test_panels_do_not_overlap_and_have_numbers_of_their_own(name: str) -> None:
    panels = list(panels_of(DASHBOARDS[name]))
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@each_dashboard
def test_nobody_edits_it_in_the_browser(name: str) -> None:
    assert DASHBOARDS[name]["editable"] is False


def links_of(dashboard: dict[str, Any]) -> set[str]:
    """Return the uids that a dashboard and its panels link to."""
    links = [link["url"] for link in dashboard["links"]]
    links += [link["url"] for panel in panels_of(dashboard) for link in panel.get("links", [])]
    return {link.removeprefix("/d/") for link in links}


def test_links_lead_somewhere() -> None:
    known = {dashboard["uid"] for dashboard in DASHBOARDS.values()} | IMPORTED
    for name, dashboard in DASHBOARDS.items():
        assert links_of(dashboard) <= known, name


def test_the_overview_links_all_others_and_is_the_home_page() -> None:
    overview = DASHBOARDS["estado-general.json"]
    assert overview["title"] == "¿Está todo bien?"
    others = {d["uid"] for d in DASHBOARDS.values()} - {overview["uid"]} | IMPORTED
    assert links_of(overview) == others
    stack = (REPOSITORY / "group_vars" / "all" / "stack.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(stack)["grafana_home_dashboard"] == overview["uid"]


def test_the_documents_dashboards_are_there() -> None:
    titles = {dashboard["title"] for dashboard in DASHBOARDS.values()}
    assert "Uso de CPU y memoria" in titles
    assert any("disco" in title for title in titles)
