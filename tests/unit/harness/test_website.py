"""The site is whole: every page there, nothing loaded from elsewhere, README short."""

from __future__ import annotations

import json
import re

import pytest

from tests.unit.conftest import ROOT
from website import modules, recording
from website.__main__ import WORDS, navigation, toml
from website.pages import LinkError, Links, pages


def test_every_document_is_a_page() -> None:
    known = pages()
    written = {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")}
    written |= {str(path.relative_to(ROOT)) for path in ROOT.glob("roles/*/README.md")}
    written |= {path.name for path in ROOT.glob("*.md")}
    assert written - set(known) == set()
    # Two files are never one page.
    assert len(set(known.values())) == len(known)


@pytest.mark.parametrize(
    ("file", "written", "led"),
    [
        ("README.md", "[x](docs/operations.md#data)", "[x](operations.md#data)"),
        ("README.md", "[x](README.es.md)", "[x](./es/)"),
        ("docs/es/guide.md", "[x](../operations.md#data)", "[x](../../operations/#data)"),
        ("docs/es/guide.md", "[x](../../README.es.md)", "[x](index.md)"),
        ("docs/adr/README.md", "[x](../../roles/swap/README.md)", "[x](../roles/swap.md)"),
        (
            "docs/guide.md",
            "[x](../group_vars/all/stack.yml)",
            "[x](https://github.com/labstack/labstack/blob/main/group_vars/all/stack.yml)",
        ),
        ("README.md", "`[x](nowhere.md)`", "`[x](nowhere.md)`"),
        ("README.md", "```\n[x](nowhere.md)\n```\n", "```\n[x](nowhere.md)\n```\n"),
        ("README.md", "[`x`](docs/style.md)", "[`x`](style.md)"),
        ("README.md", "[![a](../../actions/b.svg)](../../actions/c)", ""),
        ("README.md", "![a](docs/pictures/page.jpg)", "![a](assets/page.jpg)"),
        ("docs/guide.md", "text\n- list", "text\n\n- list"),
        ("docs/guide.md", "[x](#passwords) <https://a.b/>", "[x](#passwords) <https://a.b/>"),
    ],
)
def test_links_lead_where_the_page_is(file: str, written: str, led: str) -> None:
    assert Links(pages()).rewrite(file, written) == led


def test_a_link_to_nowhere_is_refused() -> None:
    with pytest.raises(LinkError, match=r"README\.md: docs/nowhere\.md"):
        Links(pages()).rewrite("README.md", "[x](docs/nowhere.md)")


def test_every_page_is_in_the_navigation() -> None:
    texts = {page.path: "# X" for page in pages().values() if page.language == "en"}
    text = toml(navigation(texts, "en"))
    assert set(re.findall(r'"([\w/-]+\.md)"', text)) == set(texts)


def test_both_languages_have_the_same_words_to_choose_from() -> None:
    assert set(WORDS["es"]) <= set(WORDS["en"])


def test_a_module_has_its_reference() -> None:
    found = modules.documentation()
    ours = {path.stem for path in (ROOT / "plugins" / "modules").glob("[!_]*.py")}
    assert {name.rpartition(".")[2] for name in found} >= ours
    page = modules.page("labstack.stack.service", found["labstack.stack.service"])
    assert page.startswith("# service\n")
    assert re.search(r"^\| `unit\.template` \|", page, re.MULTILINE)
    # Ansible's own markup has become Markdown's.
    assert not re.search(r"\b[OVMCE]\(", page)
    assert "\\," not in page
    # A cell's own | does not end it.
    for row in re.findall(r"^\|.*\|$", page, re.MULTILINE):
        assert len(re.findall(r"(?<!\\)\|", row)) in (4, 5), row


@pytest.mark.parametrize("name", ["README.md", "README.es.md"])
def test_a_readme_is_read_in_one_go(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 120


def test_the_readmes_count_right() -> None:
    """Alerts, and dashboards with the one of grafana.com."""
    rules = [
        *(ROOT / "roles/prometheus").rglob("*.yml"),
        *(ROOT / "roles/prometheus").rglob("*.j2"),
    ]
    alerts = sum(len(re.findall(r"^\s*- alert:", path.read_text(), re.MULTILINE)) for path in rules)
    boards = len(list((ROOT / "roles/grafana/files/dashboards").glob("*.json"))) + 1
    words = {
        9: ("Nine", "Nueve"),
        10: ("Ten", "Diez"),
        11: ("Eleven", "Once"),
        12: ("Twelve", "Doce"),
    }
    english, spanish = words[boards]
    assert f"{english} dashboards and {alerts} alerts" in (ROOT / "README.md").read_text()
    assert f"{spanish} paneles y {alerts} alertas" in (ROOT / "README.es.md").read_text()
    assert f"{alerts - 1} more watch" in (ROOT / "docs/guide.md").read_text()


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "pictures").iterdir():
        assert picture.stat().st_size <= 200_000, picture.name


def test_the_recording_is_one_and_has_no_secret() -> None:
    head, *events = recording.CAST.read_text(encoding="utf-8").splitlines()
    assert json.loads(head)["version"] == 2
    clock, shown = 0.0, ""
    for line in events:
        at, kind, text = json.loads(line)
        assert kind == "o"
        # No pause is long, so nobody waits.
        assert clock <= at <= clock + recording.LONGEST + 0.01
        clock, shown = at, shown + text
    for verb in ("up", "open", "passwords", "deploy", "releases", "logs", "down"):
        assert f"$\x1b[0m ./lab {verb}" in shown
    assert "*" * 32 in shown
    assert not re.search(r"\b[A-Za-z0-9]{32}\b", shown)
    # The test machine's own folders are nobody's affair.
    assert not re.search(r"/(srv|root|home)/", shown)


def test_what_a_terminal_shows_is_recorded() -> None:
    text = "".join(text for _, text in recording.output("printf 'a\\nü'; stty size <&1"))
    assert text == f"a\r\nü{recording.ROWS} {recording.COLUMNS}\r\n"
    with pytest.raises(RuntimeError, match="exit status 3"):
        list(recording.output("exit 3"))


def test_a_password_is_struck_out() -> None:
    word = "Ab1" * 10 + "Cd"
    shown = "".join(text for _, text in recording.events((f"echo name {word} end",)))
    assert f"name {'*' * 32} end" in shown
