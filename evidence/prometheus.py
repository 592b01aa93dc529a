"""What Prometheus says: targets, alerts, values over time."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from ansible_collections.labstack.stack.plugins.module_utils.http import Client, HttpError

from evidence.metrics import METRICS

SPAN = 3600  # seconds that a plot shows
POINTS = 240  # at most, in a plot; Prometheus takes up to 11,000
# Fires always: its silence would say that alerts do not arrive.
ALWAYS_FIRING = ("Watchdog",)


class Prometheus:
    """One Prometheus server.

    Args:
        client: speaks to it, with its login.
    """

    def __init__(self, client: Client) -> None:
        """Remembers the server."""
        self._client = client

    def ask(self, path: str, **words: str | float) -> Any:
        """Returns the data of an answer of its API. Raises HttpError."""
        query = f"?{urlencode(words)}" if words else ""
        reply = self._client.ask("GET", f"/api/v1/{path}{query}")
        if reply.status != 200:
            raise HttpError(f"{path} answers {reply.status}")
        return reply.json()["data"]

    def targets(self) -> list[dict[str, Any]]:
        """Returns each scrape target with its state."""
        return [
            {
                "job": row["scrapePool"],
                # A probe's own address is its parameter; the exporter's would be all the same.
                "target": row["labels"].get("instance", row["scrapeUrl"]),
                "health": row["health"],
                "last_scrape": row["lastScrape"],
                "seconds": round(row["lastScrapeDuration"], 4),
                "error": row.get("lastError", ""),
            }
            for row in sorted(
                self.ask("targets", state="active")["activeTargets"],
                key=lambda row: (row["scrapePool"], row["scrapeUrl"]),
            )
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """Returns each alert rule with its state."""
        return [
            {
                "alert": rule["name"],
                "group": group["name"],
                "state": rule["state"],
                "health": rule["health"],
                "severity": rule["labels"].get("severity", ""),
                "for": rule["duration"],
                "expected": rule["name"] in ALWAYS_FIRING,
            }
            for group in self.ask("rules", type="alert")["groups"]
            for rule in group["rules"]
        ]

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the document's three metrics: the value now, and those of the last hour."""
        now = time.time()
        found = []
        for metric in METRICS:
            series = self.ask(
                "query_range",
                query=metric.query,
                start=now - SPAN,
                end=now,
                step=max(5, SPAN // POINTS),
            )["result"]
            points = (
                [(float(at), float(value)) for at, value in series[0]["values"]] if series else []
            )
            values = [value for _, value in points]
            found.append(
                {
                    "name": metric.name,
                    "query": metric.query,
                    "limit": metric.limit,
                    "above": metric.above,
                    "alert": metric.alert,
                    "value": values[-1] if values else None,
                    "least": min(values) if values else None,
                    "mean": sum(values) / len(values) if values else None,
                    "most": max(values) if values else None,
                    "points": [[round(at), round(value, 2)] for at, value in points],
                }
            )
        return found
