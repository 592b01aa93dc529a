"""The repository's Markdown as the pages of a site: where each goes, and where its links lead.

The files are written to be read on GitHub. Here a link to a page leads to the page, one to any
other file to the file in the repository.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "https://github.com/labstack/labstack"
LANGUAGES = ("en", "es")
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(`+[^`]+`+)")
# A list begins a paragraph only after an empty line, and nests by four spaces, to Python-Markdown.
_LIST = re.compile(r"^( *)([-*]|\d+\.) ")


class LinkError(Exception):
    """A link leads to no file of the repository."""


@dataclass(frozen=True)
class Page:
    """A page: its language, and its path within that language's part of the site."""

    language: str
    path: str

    @property
    def url(self) -> str:
        """Where it is from the root of its language, as the site generator makes addresses."""
        path = self.path.removesuffix(".md")
        return "" if path == "index" else f"{path}/"


def pages() -> dict[str, Page]:
    """Returns all pages by the files of the repository that they are."""
    found = {
        "README.md": Page("en", "index.md"),
        "README.es.md": Page("es", "index.md"),
        "docs/documento.es.md": Page("es", "document.md"),
        "app/README.md": Page("en", "application.md"),
    }
    for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"):
        found[f"{name}.md"] = Page("en", f"{name.lower()}.md")
    for path in sorted(ROOT.glob("docs/*.md")):
        if not path.name.endswith(".es.md"):
            found[f"docs/{path.name}"] = Page("en", path.name)
    for path in sorted(ROOT.glob("docs/es/*.md")):
        found[f"docs/es/{path.name}"] = Page("es", path.name)
    for path in sorted(ROOT.glob("docs/adr/*.md")):
        name = "index.md" if path.name == "README.md" else path.name
        found[f"docs/adr/{path.name}"] = Page("en", f"decisions/{name}")
    for path in sorted(ROOT.glob("roles/*/README.md")):
        found[f"roles/{path.parent.name}/README.md"] = Page("en", f"roles/{path.parent.name}.md")
    return found


def title(text: str) -> str:
    """Returns a page's first heading."""
    match = re.search(r"^# (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return match[1].replace("`", "") if match else ""


def _separate_lists(text: str) -> str:
    lines: list[str] = []
    for line in text.split("\n"):
        item = _LIST.match(line)
        if item and lines and lines[-1].strip():
            before = _LIST.match(lines[-1])
            if not before and not lines[-1].startswith((" ", "|")):
                lines.append("")
        lines.append(line)
    return "\n".join(lines)


class Links:
    """Leads the links of pages to where they are on the site."""

    def __init__(self, known: Mapping[str, Page]) -> None:
        """Takes the pages by their files."""
        self.known = known
        self.assets: set[str] = set()

    def rewrite(self, file: str, text: str) -> str:
        """Returns a page's text for the site.

        Raises:
            LinkError: a link leads to no file.
        """
        parts = _FENCE.split(text)
        return "".join(
            part if part.startswith("```") else self._prose(file, _separate_lists(part))
            for part in parts
        )

    def _prose(self, file: str, text: str) -> str:
        def lead(match: re.Match[str]) -> str:
            mark, words, target = match.groups()
            # A picture within a link is one, too.
            words = _LINK.sub(lead, words)
            if target.startswith("../../actions/"):
                # Whether the last tests passed: a picture of GitHub's, which is elsewhere.
                return "" if mark else words
            return f"{mark}[{words}]({self._target(file, target)})"

        return "".join(
            part if part.startswith("`") else _LINK.sub(lead, part) for part in _whole_links(text)
        )

    def _target(self, file: str, target: str) -> str:
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            return target
        path, hash_, anchor = target.partition("#")
        there = os.path.normpath(PurePosixPath(file).parent / path)
        if not (ROOT / there).exists():
            raise LinkError(f"{file}: {target}")
        here, page = self.known[file], self.known.get(there)
        if page is None:
            if there.startswith("docs/pictures/"):
                self.assets.add(there)
                return os.path.relpath(f"assets/{Path(there).name}", Path(here.path).parent)
            kind = "tree" if (ROOT / there).is_dir() else "blob"
            return f"{REPOSITORY}/{kind}/main/{there}{hash_}{anchor}"
        if page.language == here.language:
            return os.path.relpath(page.path, Path(here.path).parent) + hash_ + anchor
        # From one language's part to the other's the generator does not follow.
        up = "../" * (here.url.count("/") + (here.language != "en"))
        return (up or "./") + ("" if page.language == "en" else "es/") + page.url + hash_ + anchor


def _whole_links(text: str) -> Iterator[str]:
    """Yields a text in parts, so that code which is no link's words stands alone."""
    end = 0
    for match in re.finditer(rf"{_LINK.pattern}|{_CODE.pattern}", text):
        if match[0].startswith("`"):
            yield text[end : match.start()]
            yield match[0]
            end = match.end()
    yield text[end:]
