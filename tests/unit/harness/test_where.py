"""docs/where.md answers what people look for, and the files that it names have what it says."""

from __future__ import annotations

import re

import pytest

from tests.unit.conftest import ROOT

PAGES = ("docs/where.md", "docs/es/where.md")
QUESTIONS = 15


def rows(page: str) -> list[tuple[str, str, str, str]]:
    """Each question's words, the name that is the answer, the file that has it, and the rest."""
    found = re.findall(
        r"^\| (?!I want|Quiero)([^|]+) \| `([^`]+)` \| \[([^\]]+)\]\([^)]+\) \| (.+) \|$",
        (ROOT / page).read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return [(words, name, file.replace("\\", ""), more) for words, name, file, more in found]


@pytest.mark.parametrize("page", PAGES)
def test_each_question_has_one_line(page: str) -> None:
    found = rows(page)
    assert len(found) == QUESTIONS
    assert len({words for words, *_ in found}) == QUESTIONS


@pytest.mark.parametrize(("words", "name", "file", "more"), rows(PAGES[0]))
def test_the_file_has_it(words: str, name: str, file: str, more: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text), f"{words}: {file} has no {name}"
    for other in re.findall(r"`([\w/.]+)`", more):
        if "/" in other:
            assert (ROOT / other).exists(), f"{words}: there is no {other}"
        elif "_" in other or other.endswith("s"):
            # Another variable, or a value, of the same place or of the role next to it.
            role = other.partition("_")[0]
            beside = ROOT / "roles" / role / "defaults" / "main.yml"
            assert other in (beside.read_text() if beside.exists() else text), f"{words}: {other}"


@pytest.mark.parametrize(("words", "name", "file", "more"), rows(PAGES[0]))
def test_a_variable_is_set_there(words: str, name: str, file: str, more: str) -> None:
    """A variable's file is the one that gives it its value, not one that mentions it."""
    del more
    if file.endswith("main.yml") or file.startswith("group_vars"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^#? ?{name}:", text, re.MULTILINE), (
            f"{words}: {file} does not set {name}"
        )
