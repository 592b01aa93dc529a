"""Processor and memory, as the course document draws them: its panels, its queries."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import board, filters, graph, query, too_little, too_much


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    return board(
        "uso-cpu-memoria",
        "Uso de CPU y memoria",
        "Carga del procesador y memoria disponible del servidor.",
        "linux",
        [
            graph(
                "CPU (%)",
                query(
                    '100 - (avg(rate(node_cpu_seconds_total{mode="idle"}[2m])) * 100)',
                    "CPU",
                ),
                description="Tiempo que los procesadores no estuvieron ociosos, media de todos.",
                unit=units.Percent,
                decimals=1,
                height=12,
                maximum=100,
                levels=too_much(red=80, because="HighCPUUsage salta por encima del 80 %."),
                alerts=["HighCPUUsage"],
            ),
            graph(
                "Memoria",
                query(
                    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100",
                    "Disponible {{host}}",
                ),
                description="Memoria disponible para programas nuevos sin usar el área de "
                "intercambio, en % del total.",
                unit=units.Percent,
                decimals=1,
                height=12,
                maximum=100,
                lowest=True,
                levels=too_little(green=10, because="HostMemoryLow salta por debajo del 10 %."),
                alerts=["HostMemoryLow"],
            ),
        ],
        minutes=30,
        variables=[filters()],
    )
