"""The page, and the files beside it, from a recorded report; no browser is needed."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from evidence import __main__ as report
from evidence import guard, page, pictures, plots
from tests.unit.evidence.conftest import SECRET

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000001000000008008060000001f15c489")


class Reader(HTMLParser):
    """Notes what a page refers to, and the elements that are not closed."""

    void = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.refers: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.refers += [named[key] or "" for key in ("src", "href") if key in named]
        self.ids += [value for key, value in attrs if key == "id" and value]
        if tag == "img":
            self.images.append(named)
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # Within a plot: closed where it is opened.
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


def rendered(document: dict[str, Any]) -> str:
    words = page.texts(document["language"])
    page.captions(document["pictures"], words)
    drawn = {
        metric["name"]: plots.inline(plots.draw(metric, {"limit": "x", "time": "y"}))
        for metric in document["metrics"]
    }
    return page.render(document, drawn, {p["name"]: PNG for p in document["pictures"]})


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_the_page_is_whole_and_needs_no_other_file(language: str, document: dict[str, Any]) -> None:
    html = rendered(document | {"language": language})
    assert html.startswith("<!doctype html>")
    assert f'<html lang="{language}">' in html
    # Neither Ansible's templates nor ours, unfilled.
    assert "{{" not in html
    assert not re.search(
        r">[^<]*\{\w+\}", re.sub(r"<(style|pre|code).*?</\1>", "", html, flags=re.S)
    )
    found = read(html)
    assert found.wrong == []
    assert [name for name in found.open if name != "html"] == []
    assert [name for name in found.refers if not name.startswith(("#", "data:image/png"))] == []
    assert not re.search(r"url\((?!#)|@import|<script|<link", html)
    anchors = {name[1:] for name in found.refers if name.startswith("#")}
    assert anchors <= set(found.ids)
    assert len(set(found.ids)) == len(found.ids)


def test_the_page_is_dark_light_and_printable(document: dict[str, Any]) -> None:
    html = rendered(document)
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media print" in html
    assert "color-scheme: light dark" in html
    # The plots take the page's colours, in both.
    assert html.count("var(--accent)") > len(document["metrics"])


def test_every_picture_says_what_it_shows(document: dict[str, Any]) -> None:
    found = read(rendered(document))
    assert len(found.images) == len(document["pictures"]) > 0
    assert all(image.get("alt") for image in found.images)


def test_every_row_of_the_report_is_on_the_page(document: dict[str, Any]) -> None:
    html = rendered(document)
    for part, key in (
        ("checks", "seen"),
        ("programs", "release_sha256"),
        ("containers", "service"),
        ("images", "id"),
        ("targets", "job"),
        ("alerts", "alert"),
        ("units", "unit"),
        ("files", ""),
    ):
        rows = document[part]
        assert rows, part
        for row in rows:
            assert str(row[key] if key else row).replace("'", "&#39;") in html, (part, row)


def test_what_the_host_says_is_text(document: dict[str, Any]) -> None:
    hostile = "<script>alert(1)</script>"
    changed = copy.deepcopy(document)
    changed["checks"][0]["seen"] = hostile
    changed["targets"][0]["error"] = hostile
    changed["commands"][0]["output"] = hostile
    changed["missing"] = [hostile]
    assert hostile not in rendered(changed)


def test_what_does_not_hold_has_its_cause_and_the_next_command(document: dict[str, Any]) -> None:
    document["checks"][0] |= {"passed": False, "cause": "it is off", "command": "switch it on"}
    document["summary"][0]["holds"] = False
    html = rendered(document)
    assert "1 of 8 points do not hold" in html
    assert "it is off" in html
    assert "switch it on" in html


def test_a_plot_is_the_same_each_time_and_has_text(document: dict[str, Any]) -> None:
    words = {"limit": "Fires above 80 %", "time": "Time"}
    first, second = (plots.draw(document["metrics"][0], words) for _ in range(2))
    assert first == second
    assert "Fires above 80 %" in first
    # The colours that it was drawn with stand for others.
    for shown in (plots.standalone(first), plots.inline(first)):
        assert not re.search(r"#0([1-5])0\1", shown)


class BrokenCamera:
    """Takes a picture, fails at the next page, and takes another one."""

    def __init__(self, *_: object) -> None:
        pass

    def take(self, _: object) -> Iterator[Callable[[], Iterator[pictures.Picture]]]:
        yield self.grafana
        yield self.node_exporter

    def grafana(self) -> Iterator[pictures.Picture]:
        yield pictures.Picture("one", "grafana", PNG, 1280, "One")
        raise RuntimeError("the page does not answer\nand more")

    def node_exporter(self) -> Iterator[pictures.Picture]:
        yield pictures.Picture("node-exporter", "node-exporter", PNG, 1280)


def test_a_page_that_fails_costs_no_other_picture(
    document: dict[str, Any], given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "Camera", BrokenCamera)
    taken = report._photograph(None, document, given)
    assert [picture.name for picture in taken] == ["one", "node-exporter"]
    assert document["missing"] == ["grafana: the page does not answer"]


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CHROMIUM", "no-such-browser")


@pytest.mark.usefixtures("no_browser")
@pytest.mark.parametrize("language", page.LANGUAGES)
def test_without_a_browser_there_is_a_report_and_it_says_so(
    language: str, given: dict[str, Any]
) -> None:
    told = report.make(given | {"language": language})
    folder = Path(given["directory"])
    assert not (folder / "report.pdf").exists()
    assert "report.pdf" not in told
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert page.texts(language)["no_pictures"] in html
    assert "no-such-browser" in html
    assert "no-such-browser" in told
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["pictures"] == []


@pytest.mark.usefixtures("no_browser")
def test_the_manifest_names_every_file(given: dict[str, Any]) -> None:
    report.make(given)
    folder = Path(given["directory"])
    lines = (folder / "sha256sums.txt").read_text().splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert set(sums) == files - {"sha256sums.txt"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.usefixtures("no_browser")
def test_a_report_with_a_secret_is_not_written_and_the_old_one_stays(
    given: dict[str, Any],
) -> None:
    report.make(given)
    folder = Path(given["directory"])
    before = (folder / "report.json").read_text(encoding="utf-8")
    given["commands"][0]["stdout"] += SECRET
    with pytest.raises(guard.SecretFoundError):
        report.make(given)
    assert (folder / "report.json").read_text(encoding="utf-8") == before
    assert [path.name for path in folder.parent.iterdir()] == ["ec2"]
