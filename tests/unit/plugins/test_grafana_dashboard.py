"""Dashboards of grafana.com are prepared as its import dialogue would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = {"name": "Prometheus", "type": "prometheus", "uid": "prometheus"}
NODE = {
    "id": 12,
    "uid": "rYdddlPWk",
    "title": "Node Exporter Full",
    "__requires": [{"type": "grafana"}],
    "templating": {
        "list": [
            {"name": "ds_prometheus", "type": "datasource", "query": "prometheus", "current": {}},
            {"name": "logs", "type": "datasource", "query": "loki", "current": {}},
            {"name": "job", "type": "query", "query": "prometheus", "current": {}},
        ]
    },
    "panels": [{"datasource": {"type": "prometheus", "uid": "${ds_prometheus}"}}],
}


@pytest.fixture
def prepare(tmp_path: Path) -> Any:
    """Prepares one dashboard."""

    def one(document: Any, **entry: Any) -> Any:
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / "abc.json").write_text(text)
        plugin = lookup_loader.get("labstack.stack.grafana_dashboard")
        terms = [{"id": 7, "sha256": "ABC", **entry}]
        return plugin.run(terms, directory=str(tmp_path), datasource=SOURCE)[0]

    return one


def test_a_variable_of_the_data_source_begins_with_ours(prepare: Any) -> None:
    prepared = prepare(NODE)
    assert "id" not in prepared
    assert "__requires" not in prepared
    ours, *others = prepared["templating"]["list"]
    assert (ours["current"]["value"], ours["current"]["text"]) == ("prometheus", "Prometheus")
    assert [variable["current"] for variable in others] == [{}, {}]
    # The panel still follows the variable, which a person can change.
    assert prepared["panels"][0]["datasource"]["uid"] == "${ds_prometheus}"


def test_inputs_of_the_import_dialogue_are_answered(prepare: Any) -> None:
    prepared = prepare(
        {
            "uid": "a",
            "title": "A",
            "__inputs": [
                {"name": "DS_PROM", "type": "datasource", "pluginId": "prometheus"},
                {"name": "VAR_PREFIX", "type": "constant", "value": "node"},
            ],
            "panels": [
                {"datasource": "${DS_PROM}", "targets": [{"expr": '${VAR_PREFIX}_load1{a="$b"}'}]},
                {"datasource": {"uid": "${DS_PROM}"}, "${DS_PROM}": 1},
            ],
        }
    )
    assert "__inputs" not in prepared
    assert prepared["panels"][0]["datasource"] == "prometheus"
    assert prepared["panels"][0]["targets"][0]["expr"] == 'node_load1{a="$b"}'
    assert prepared["panels"][1] == {"datasource": {"uid": "prometheus"}, "${DS_PROM}": 1}


def test_title_and_uid_where_its_own_will_not_do(prepare: Any) -> None:
    prepared = prepare({"title": "A", "uid": "not a uid"}, title="Another")
    assert (prepared["title"], prepared["uid"]) == ("Another", "grafana-com-7")


def test_its_number_is_a_tag_by_which_it_is_found(prepare: Any) -> None:
    assert prepare({"title": "A", "tags": ["linux"]})["tags"] == ["linux", "grafana-com-7"]
    assert prepare({"title": "A"})["tags"] == ["grafana-com-7"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("<html>", "is no JSON"),
        ({"uid": "a"}, "has no title"),
        (
            {
                "title": "A",
                "__inputs": [{"name": "DS_L", "type": "datasource", "pluginId": "loki"}],
            },
            "asks for 'DS_L' .loki.",
        ),
    ],
)
def test_what_cannot_be_provisioned_is_refused(prepare: Any, document: Any, words: str) -> None:
    with pytest.raises(AnsibleLookupError, match=words):
        prepare(document)


def test_what_was_not_fetched_is_told(prepare: Any) -> None:
    prepare(NODE)
    with pytest.raises(AnsibleLookupError, match="1860 is not there"):
        prepare(NODE, id=1860, sha256="def")
