"""The documents in both languages say the same: sections, tables, messages and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.conftest import ROOT

PAIRS = {
    "README.md": "README.es.md",
    "docs/backup.md": "docs/es/backup.md",
    "docs/document.md": "docs/documento.es.md",
    "docs/dashboards.md": "docs/es/dashboards.md",
    "docs/report.md": "docs/es/report.md",
    "docs/guide.md": "docs/es/guide.md",
    "docs/where.md": "docs/es/where.md",
    "docs/runbooks.md": "docs/es/runbooks.md",
    "docs/troubleshooting.md": "docs/es/troubleshooting.md",
    "docs/your-application.md": "docs/es/your-application.md",
}
# Commands and messages stay as they are in every language.
EXACT = [name for name in PAIRS if name not in ("README.md", "docs/guide.md")]


@dataclass
class Section:
    """A heading with what stands below it, up to the next one."""

    level: int
    title: str
    text: str

    @property
    def rows(self) -> int:
        return len(re.findall(r"^\|", self.text, re.MULTILINE))

    @property
    def code(self) -> list[str]:
        fences = re.findall(r"^```\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", self.text, flags=re.M | re.S))
        # A comment within an example is for people.
        commands = [line.split(" #")[0].rstrip() for text in fences for line in text.splitlines()]
        return sorted([*commands, *(" ".join(span.split()) for span in spans)])


def sections(path: Path) -> list[Section]:
    # Headings within an example are its own.
    parts = re.split(r"^(#+) (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [
        Section(len(marks), title, text)
        for marks, title, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


@pytest.mark.parametrize("english", PAIRS)
def test_both_languages_have_the_same_sections(english: str) -> None:
    ours, theirs = sections(ROOT / english), sections(ROOT / PAIRS[english])
    assert [(s.level, s.rows) for s in theirs] == [(s.level, s.rows) for s in ours]


@pytest.mark.parametrize("english", EXACT)
def test_both_languages_have_the_same_commands_and_messages(english: str) -> None:
    pairs = zip(sections(ROOT / english), sections(ROOT / PAIRS[english]), strict=True)
    for ours, theirs in pairs:
        assert theirs.code == ours.code, ours.title


@pytest.mark.parametrize("name", [*PAIRS, *PAIRS.values()])
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text()):
        # On GitHub these are pages of the repository, not files of it.
        if target.startswith("../../actions/"):
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{name}: {target}"
        if anchor:
            titles = [section.title for section in sections(file)]
            slugs = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
            assert anchor in slugs, f"{name}: {target}#{anchor}"
