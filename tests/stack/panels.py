"""The queries of dashboards' panels, as Grafana would send them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Grafana's own variables. Four scrapes would do for a rate; two minutes are what the rules take.
BUILT_IN = {
    "__rate_interval": "2m",
    "__interval": "15s",
    "__range": "30m",
    "__range_s": "1800",
}


@dataclass(frozen=True)
class Query:
    """One query of one panel.

    Attributes:
        dashboard: title of the dashboard.
        panel: title of the panel.
        expression: PromQL, variables filled in.
    """

    dashboard: str
    panel: str
    expression: str

    def __str__(self) -> str:
        """Return what a failure shows."""
        return f"{self.dashboard} / {self.panel}: {self.expression}"


def fill_in(expression: str, variables: Mapping[str, str]) -> str:
    """Replace $name, ${name} and ${name:format} by the variables' values.

    Raises:
        KeyError: a variable has no value.
    """
    return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", lambda m: variables[m[1] or m[2]], expression)


def marks(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    """Yield the queries of a dashboard's annotations, in the last six hours."""
    for mark in dashboard.get("annotations", {}).get("list", []):
        if "expr" in mark:
            expression = f"count_over_time(({mark['expr']})[6h:1m])"
            yield Query(dashboard["title"], mark["name"], expression)


def queries(dashboard: Mapping[str, Any], variables: Mapping[str, str]) -> Iterator[Query]:
    """Yield every query of every panel of a dashboard, rows that are folded included.

    A variable of the dashboard that offers a pattern for all has that; others are in `variables`.
    """
    all_values = {v["name"]: v.get("allValue") for v in dashboard["templating"]["list"]}
    known = {**BUILT_IN, **{n: v for n, v in all_values.items() if v}, **variables}

    def walk(panels: list[dict[str, Any]]) -> Iterator[Query]:
        for panel in panels:
            yield from walk(panel.get("panels", []))
            for target in panel.get("targets", []):
                expression = target.get("expr", "").strip()
                if expression and not target.get("hide", False):
                    title = panel.get("title", "")
                    yield Query(dashboard["title"], title, fill_in(expression, known))

    yield from walk(list(dashboard["panels"]))
