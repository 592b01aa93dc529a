"""Shows the document as one HTML file."""

from __future__ import annotations

import base64
import datetime
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

HERE = Path(__file__).parent
LANGUAGES = ("en", "es")
NOTHING = "\N{EN DASH}"  # for a value that is not there
SECTIONS = (
    "summary", "checks", "run", "metrics", "monitoring", "pictures", "programs", "safety", "about",
)  # fmt: skip
# Where each point of the summary is shown.
WHERE = {
    "checks": "checks",
    "run": "run",
    "programs": "programs-table",
    "containers": "containers-table",
    "units": "units-table",
    "ports": "ports-table",
    "targets": "targets-table",
    "alerts": "alerts-table",
}


def texts(language: str) -> dict[str, Any]:
    """Returns the words of a language."""
    path = HERE / "texts" / f"{language}.yml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


class Formats:
    """Numbers and times as a language writes them.

    Args:
        language: one of LANGUAGES.
    """

    def __init__(self, language: str) -> None:
        """Notes the language."""
        self._comma = language == "es"

    def number(self, value: float | None, digits: int) -> str:
        """Returns a number with so many digits after the point; a dash for None."""
        if value is None:
            return NOTHING
        text = f"{value:.{digits}f}"
        return text.replace(".", ",") if self._comma else text

    def percent(self, value: float | None) -> str:
        """Returns a share."""
        return f"{self.number(value, 1)} %"

    def mebibytes(self, value: int | None) -> str:
        """Returns bytes in MiB."""
        return NOTHING if value is None else f"{self.number(value / 2**20, 0)} MiB"

    @staticmethod
    def when(iso: str) -> str:
        """Returns an instant in UTC, to the minute; what is no instant, as it stands."""
        try:
            at = datetime.datetime.fromisoformat(iso)
        except ValueError:
            return iso
        return at.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")

    @staticmethod
    def time_of(rfc3339: str) -> str:
        """Returns the time of day of one of Prometheus's instants, which have nanoseconds."""
        found = re.search(r"T(\d\d:\d\d:\d\d)", rfc3339)
        return found[1] if found else NOTHING

    @staticmethod
    def duration(seconds: float) -> str:
        """Returns a time span: "0 s", "30 s", "5 min", "1 h"."""
        for unit, size in (("h", 3600), ("min", 60)):
            if seconds >= size and not seconds % size:
                return f"{seconds / size:g} {unit}"
        return f"{seconds:g} s"


def check_namer(translations: Mapping[str, str]) -> Callable[[str], str]:
    """Returns what says a check's name in another language.

    A name of roles/*/checks/main.yml may have {port}, which is a number by now.
    """
    patterns = [
        (re.compile(re.escape(name).replace(re.escape("{port}"), r"(?P<port>\d+)")), text)
        for name, text in translations.items()
    ]

    def say(name: str) -> str:
        for pattern, text in patterns:
            if match := pattern.fullmatch(name):
                return text.format(**match.groupdict())
        return name[:1].upper() + name[1:]

    return say


def captions(pictures: list[dict[str, Any]], words: Mapping[str, Any]) -> None:
    """Gives each picture its caption, which is its alternative text too."""
    for picture in pictures:
        picture["caption"] = words["pictures"][picture["kind"]].format(title=picture["title"])


def limit_of(metric: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    """Returns when a metric's alert fires."""
    text: str = words["fires_above" if metric["above"] else "fires_below"]
    return text.format(limit=metric["limit"], alert=metric["alert"])


def render(
    document: Mapping[str, Any], plots: Mapping[str, str], images: Mapping[str, bytes]
) -> str:
    """Returns the page.

    Args:
        document: as evidence.document.build has made it, pictures with captions.
        plots: SVG by metric.
        images: PNG by the picture's name.
    """
    words = texts(document["language"])
    formats = Formats(document["language"])

    def alt_of(metric: Mapping[str, Any]) -> str:
        values = {name: formats.percent(metric[name]) for name in ("value", "least", "most")}
        title = words["metric_titles"][metric["name"]]
        alt: str = words["plot_alt"]
        return alt.format(title=title, alert=metric["alert"], limit=metric["limit"], **values)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        d=document,
        t=words,
        sections=SECTIONS,
        where=WHERE,
        # Ours, or matplotlib's; what comes from the host is escaped.
        css=Markup((HERE / "templates" / "report.css").read_text(encoding="utf-8")),  # noqa: S704
        plots={name: Markup(svg) for name, svg in plots.items()},  # noqa: S704
        images={
            name: f"data:image/png;base64,{base64.b64encode(png).decode()}"
            for name, png in images.items()
        },
        name_of=check_namer(words["checks"]),
        limit_of=lambda metric: limit_of(metric, words),
        alt_of=alt_of,
        number=formats.number,
        percent=formats.percent,
        mebibytes=formats.mebibytes,
        when=formats.when,
        time_of=formats.time_of,
        duration=formats.duration,
    )
