"""Writes each dashboard's JSON, which is committed: hosts and users of the role need no library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import (
    alertas,
    apache,
    aplicacion,
    aplicaciones,
    contenedores,
    espacio_disco,
    estado_general,
    mysql,
    uso_cpu_memoria,
)

BUILT = Path(__file__).parents[1] / "roles" / "grafana" / "files" / "dashboards"
MODULES = [
    alertas,
    apache,
    aplicacion,
    aplicaciones,
    contenedores,
    espacio_disco,
    estado_general,
    mysql,
    uso_cpu_memoria,
]


def build() -> dict[str, str]:
    """Return the text of each file by its name."""
    files: dict[str, str] = {}
    for module in MODULES:
        text = json.dumps(module.dashboard(), cls=JSONEncoder, ensure_ascii=False, indent=2)
        built: dict[str, Any] = json.loads(text)
        files[f"{built['uid']}.json"] = f"{text}\n"
    return files


def main() -> None:
    """Write the files, and remove those whose dashboard is gone."""
    files = build()
    for path in BUILT.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (BUILT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
