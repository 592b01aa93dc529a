"""The plots of the metrics, as SVG that takes the page's colours."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Mapping
from typing import Any

# What matplotlib draws with, and what the page has in its place (templates/report.css); in a file
# of its own, a picture has the second colour.
_COLORS = {
    "#010101": ("var(--ink)", "#1b2330"),
    "#020202": ("var(--muted)", "#5a6676"),
    "#030303": ("var(--rule)", "#d8dee6"),
    "#040404": ("var(--accent)", "#1f5fae"),
    "#050505": ("var(--bad)", "#b3261e"),
}
_INK, _MUTED, _RULE, _ACCENT, _BAD = _COLORS


def draw(metric: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Returns a metric's plot of its last hour, 0 to 100 %.

    Args:
        metric: as evidence.prometheus.Prometheus.metrics has it, with points.
        words: "limit" (what the line of the limit is called), "time" (the axis), "title".

    Raises:
        ImportError: matplotlib is not there.
    """
    import matplotlib as mpl  # noqa: PLC0415 - a report without plots needs none

    mpl.use("svg")
    from matplotlib import dates, pyplot  # noqa: PLC0415

    # matplotlib takes instants, but its types do not say so.
    times: Any = [datetime.datetime.fromtimestamp(at, datetime.UTC) for at, _ in metric["points"]]
    values = [value for _, value in metric["points"]]
    style: Any = {
        # Text stays text: it is read aloud, found, and has the page's font.
        "svg.fonttype": "none",
        "svg.hashsalt": metric["name"],
        "font.family": "sans-serif",
        "font.size": 7,
        "text.color": _INK,
        "axes.edgecolor": _RULE,
        "axes.labelcolor": _MUTED,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED,
        "grid.color": _RULE,
    }
    with mpl.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(7.4, 2.0), layout="constrained")
        axes.plot(times, values, color=_ACCENT, linewidth=1.6, solid_capstyle="round")
        axes.fill_between(times, values, color=_ACCENT, alpha=0.12, linewidth=0)
        axes.axhline(metric["limit"], color=_BAD, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            words["limit"],
            (1, metric["limit"]),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=_BAD,
            fontsize=7,
        )
        axes.set_ylim(0, 100)
        axes.set_yticks(range(0, 101, 25), [f"{mark} %" for mark in range(0, 101, 25)])
        axes.margins(x=0)
        locator, formatter = dates.AutoDateLocator, dates.DateFormatter
        axes.xaxis.set_major_locator(locator(minticks=4, maxticks=8))  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter("%H:%M"))  # type: ignore[no-untyped-call]
        axes.set_xlabel(words["time"], fontsize=7)
        axes.grid(axis="y", linewidth=0.8)
        axes.tick_params(length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
        pyplot.close(figure)
    svg = re.sub(r"^.*?<svg ", "<svg ", buffer.getvalue(), flags=re.DOTALL)
    # Several plots share a page, and so their names.
    return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{metric['name']}-", svg)


def inline(svg: str) -> str:
    """Returns the plot for the page, in the page's colours."""
    return _recolor(svg, 0)


def standalone(svg: str) -> str:
    """Returns the plot for a file of its own, in colours for white paper."""
    return '<?xml version="1.0" encoding="utf-8"?>\n' + _recolor(svg, 1)


def _recolor(svg: str, which: int) -> str:
    for drawn, colors in _COLORS.items():
        svg = svg.replace(drawn, colors[which])
    return svg
