"""Our dashboards are code: what every one of them must have, so that none is a special case."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from dashboards import __main__ as code
from dashboards.alertas import DASHBOARD_OF
from dashboards.parts import GRAY, GREEN, ORANGE, RED, RUNBOOKS, too_little, too_much
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
OVERVIEW = "estado-general"
# Expression by alert.
RULES = {
    rule["alert"]: rule["expr"]
    for path in [
        ROLES / "prometheus" / "files" / "rules.yml",
        *(ROLES / "prometheus" / "files" / "rules.d").glob("*.yml"),
    ]
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
each_dashboard = pytest.mark.parametrize("name", DASHBOARDS)


def panels_of(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions_of(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in panels_of(dashboard):
        for target in panel.get("targets", []):
            yield target["expr"]


def test_the_files_are_what_the_code_builds() -> None:
    built = code.build()
    again = "after a change in dashboards/: ./lab run python -m dashboards"
    assert sorted(built) == sorted(DASHBOARDS), again
    for path in FILES:
        assert path.read_text(encoding="utf-8") == built[path.name], f"{path.name}; {again}"


@each_dashboard
def test_nothing_measured_is_neither_good_nor_bad(name: str) -> None:
    """A stat without a value says so in words, and not on the ground of its first colour."""
    for panel in panels_of(DASHBOARDS[name]):
        if panel["type"] == "stat":
            defaults = panel["fieldConfig"]["defaults"]
            (empty,) = [m["options"] for m in defaults["mappings"] if m["type"] == "special"]
            assert empty["match"] == "null+nan"
            assert empty["result"]["text"] == defaults["noValue"]
            assert empty["result"]["color"] in {GRAY, ORANGE}


def test_a_line_has_the_worse_colour_of_its_two_sides() -> None:
    low = too_little(green=20, orange=10, because="").as_lines()
    assert list(low.steps) == [(GREEN, None), (RED, 10), (ORANGE, 20)]
    high = too_much(red=80, because="")
    assert high.as_lines() == high


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
        assert not re.search(r"\b(instance|host|nodename)\s*=~?\s*\"(?!\$)", expression), expression
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
    links = itertools.chain(dashboard["links"], *(p["links"] for p in panels_of(dashboard)))
    return {found[1] for link in links if (found := re.match(r"/d/([\w-]+)", link["url"]))}


def alerts_of(panel: dict[str, Any]) -> list[str]:
    """Return the alerts whose runbooks a panel links."""
    titles = [link["title"] for link in panel["links"]]
    return [t.removeprefix("Qué hacer: ") for t in titles if t.startswith("Qué hacer: ")]


def test_links_lead_somewhere() -> None:
    known = {dashboard["uid"] for dashboard in DASHBOARDS.values()} | IMPORTED
    for name, dashboard in DASHBOARDS.items():
        assert links_of(dashboard) <= known, name


def test_the_overview_links_all_others_and_is_the_home_page() -> None:
    overview = DASHBOARDS["estado-general.json"]
    assert overview["title"] == "¿Está todo bien?"
    others = {d["uid"] for d in DASHBOARDS.values()} - {overview["uid"]} | IMPORTED
    assert links_of(overview) == others
    wiring = (REPOSITORY / "group_vars" / "all" / "wiring.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(wiring)["grafana_home_dashboard"] == overview["uid"]


def test_an_alert_and_its_panel_lead_to_each_other_and_to_the_runbook() -> None:
    runbooks = (REPOSITORY / "docs" / "runbooks.md").read_text(encoding="utf-8")
    shown: dict[str, set[str]] = {}
    for dashboard in DASHBOARDS.values():
        for panel in panels_of(dashboard):
            for alert in alerts_of(panel):
                assert alert in RULES, panel["title"]
                assert re.search(rf"^#+ {alert}$", runbooks, re.MULTILINE), alert
                urls = [link["url"] for link in panel["links"]]
                assert f"{RUNBOOKS}#{alert.lower()}" in urls
                assert any(u.startswith("/d/alertas?") and f"var-alerta={alert}" in u for u in urls)
                shown.setdefault(alert, set()).add(dashboard["uid"])
    for alert in RULES:
        (*_, uid) = [uid for pattern, uid in DASHBOARD_OF.items() if re.fullmatch(pattern, alert)]
        assert uid in {d["uid"] for d in DASHBOARDS.values()} | IMPORTED
        # What only the overview shows is explained in a dashboard of more detail.
        assert uid in IMPORTED or uid in shown.get(alert, {uid}) or shown[alert] == {OVERVIEW}, (
            alert
        )


# Where a panel counts otherwise than its alert.
OTHER_COUNT = {
    "Intentos fallidos": "2 a minute are the 10 in 5 minutes of MySQLRefusedConnections",
}


def test_a_colour_changes_where_an_alert_fires() -> None:
    for panel in itertools.chain(*(panels_of(d) for d in DASHBOARDS.values())):
        steps = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        alerts = alerts_of(panel)
        if len(steps) == 1 or not alerts or panel["title"] in OTHER_COUNT:
            continue
        limits = {
            float(limit) + (1 if (sign, limit) == (">", "0") else 0)
            for alert in alerts
            for sign, limit in re.findall(r"([<>=]) ([\d.]+)", RULES[alert])
        }
        good = 1 if panel["fieldConfig"]["defaults"]["unit"] == "bool" else None
        assert (limits | {good}) & set(steps[1:]), (panel["title"], limits, steps)


@each_dashboard
def test_deploys_boots_and_alerts_are_marked(name: str) -> None:
    marks = {mark["name"]: mark for mark in DASHBOARDS[name]["annotations"]["list"]}
    assert list(marks) == ["Despliegues", "Arranques del servidor", "Alertas"]
    for mark in marks.values():
        assert mark["datasource"] == DATA_SOURCE
        assert mark["enable"] is True


@each_dashboard
def test_every_variable_of_a_query_can_be_chosen(name: str) -> None:
    names = {variable["name"] for variable in DASHBOARDS[name]["templating"]["list"]}
    used = {v for expr in expressions_of(DASHBOARDS[name]) for v in re.findall(r"\$(\w+)", expr)}
    assert used == names - {"filtros"}


def test_the_role_puts_the_address_of_a_fork_in_place_of_ours() -> None:
    tasks = (ROLES / "grafana" / "tasks" / "dashboards.yml").read_text(encoding="utf-8")
    assert f'replace: {{"{RUNBOOKS}": "{{{{ grafana_runbooks_url }}}}"}}' in tasks
    assert RUNBOOKS in DASHBOARDS["mysql.json"]["panels"][0]["links"][1]["url"]


def test_the_documents_dashboards_are_there() -> None:
    titles = {dashboard["title"] for dashboard in DASHBOARDS.values()}
    assert "Uso de CPU y memoria" in titles
    assert any("disco" in title for title in titles)
