"""What is known of backups between two runs, and the metrics that Node Exporter serves of it."""

from __future__ import annotations

import json
from typing import Any

from labstack_backup.common import Settings, write

_METRICS = (
    (
        "last_success_timestamp_seconds",
        "End of the last whole backup at the target, Unix time; 0: none yet.",
        "target",
    ),
    ("target_up", "Whether the target took the last backup.", "target"),
    ("success", "Whether the last backup on this host succeeded.", ""),
    ("period_seconds", "Time between two backups on this host.", ""),
    ("size_bytes", "Size of the last backup's content.", ""),
    ("rows", "Rows in the last backup's tables.", ""),
    ("repository_bytes", "Space that the backups take on this host.", ""),
    ("duration_seconds", "Time that the last backup took, with its read-back.", ""),
    ("drill_success", "Whether the last drill succeeded.", ""),
    (
        "drill_last_success_timestamp_seconds",
        "End of the last successful drill, Unix time; 0: none yet.",
        "",
    ),
    ("drill_duration_seconds", "Time that the last drill took.", ""),
)


class Status:
    """A file with figures; each change is written at once, there and as metrics."""

    def __init__(self, settings: Settings) -> None:
        """Reads what is known."""
        self._settings = settings
        self._file = settings.directory / "status.json"
        self.values: dict[str, Any] = (
            json.loads(self._file.read_text()) if self._file.exists() else {}
        )

    def set(self, **values: Any) -> None:
        """Notes figures by the metrics' names, those of a target as {target: figure}."""
        for key, value in values.items():
            if isinstance(value, dict):
                self.values[key] = {**self.values.get(key, {}), **value}
            else:
                self.values[key] = value
        write(self._file, json.dumps(self.values, indent=1).encode() + b"\n")
        # Without Node Exporter there is nobody to write for.
        if self._settings.metrics_file.parent.is_dir():
            write(self._settings.metrics_file, self.metrics().encode(), 0o644)

    def metrics(self) -> str:
        """Returns the figures in Prometheus's text format."""
        values = {
            "last_success_timestamp_seconds": {"local": 0},
            "drill_last_success_timestamp_seconds": 0,
            **self.values,
            "period_seconds": self._settings.period_hours * 3600,
        }
        gone = set(values["last_success_timestamp_seconds"]) - {
            "local",
            "controller",
            *self._settings.targets,
        }
        lines = []
        for name, help_text, label in _METRICS:
            value = values.get(name)
            if value is None:
                continue
            lines += [f"# HELP backup_{name} {help_text}", f"# TYPE backup_{name} gauge"]
            rows = (
                {f'{{{label}="{one}"}}': figure for one, figure in value.items() if one not in gone}
                if label
                else {"": value}
            )
            lines += [
                f"backup_{name}{labels} {float(figure):.10g}"
                for labels, figure in sorted(rows.items())
            ]
        return "\n".join(lines) + "\n"
