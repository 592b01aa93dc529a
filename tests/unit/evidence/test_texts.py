"""The words of the report: the same in both languages, and one for all there is to say."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from evidence import page
from evidence.metrics import METRICS
from tests.role_readme import REPOSITORY, ROLES

ENGLISH, SPANISH = page.texts("en"), page.texts("es")


def flat(words: Any, path: str = "") -> dict[str, str]:
    """Return the texts by their path."""
    if not isinstance(words, dict):
        return {path: str(words)}
    found: dict[str, str] = {}
    for key, value in words.items():
        found |= flat(value, f"{path}/{key}")
    return found


def test_both_languages_have_the_same_words() -> None:
    first, second = (
        flat({k: v for k, v in w.items() if k != "checks"}) for w in (ENGLISH, SPANISH)
    )
    assert first.keys() == second.keys()
    for key, text in first.items():
        holes = [set(re.findall(r"\{\w+\}", words)) for words in (text, second[key])]
        assert holes[0] == holes[1], key


def check_names() -> list[str]:
    files = sorted(ROLES.glob("*/checks/main.yml"))
    return [entry["name"] for f in files for entry in yaml.safe_load(f.read_text("utf-8"))]


@pytest.mark.parametrize("name", sorted(set(check_names())))
def test_every_check_has_a_spanish_name(name: str) -> None:
    assert name in SPANISH["checks"], "a line in evidence/texts/es.yml, under checks"


def test_no_name_of_a_check_that_is_gone() -> None:
    assert set(SPANISH["checks"]) <= set(check_names())


def test_a_name_with_a_port_is_translated_with_it() -> None:
    say = page.check_namer(SPANISH["checks"])
    assert say("Flask's port 5000 is closed") == "El puerto 5000 de Flask está cerrado"
    assert say("a check of somebody else") == "A check of somebody else"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_metrics_are_the_documents(metric: Any) -> None:
    for name in ("document.md", "documento.es.md"):
        assert metric.query in (REPOSITORY / "docs" / name).read_text(encoding="utf-8"), name
    rules = "".join(f.read_text("utf-8") for f in (ROLES / "prometheus" / "files").rglob("*.yml"))
    (expression,) = re.findall(rf"alert: {metric.alert}\n\s+expr: (.+(?:\n\s{{8,}}.+)*)", rules)
    assert f"{'>' if metric.above else '<'} {metric.limit:g}" in expression


def test_the_number_is_written_as_the_language_does() -> None:
    assert page.Formats("en").number(12.345, 1) == "12.3"
    assert page.Formats("es").number(12.345, 1) == "12,3"
    assert page.Formats("es").number(None, 1) == page.NOTHING


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (90, "90 s"), (120, "2 min"), (7200, "2 h")]
)
def test_a_time_span(seconds: float, told: str) -> None:
    assert page.Formats.duration(seconds) == told
