"""Applications beside the bundled one: their pages, their containers, their metrics."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import GRAY, board, graph, query, stat, state, too_much, variable

PAGE = 'job="application_pages", app=~"$aplicacion"'
METRICS = 'job="applications", app=~"$aplicacion"'
CONTAINERS = 'name=~"($aplicacion)-.+-[0-9]+"'


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    return board(
        "aplicaciones",
        "Aplicaciones",
        "Sus propias aplicaciones: páginas, contenedores y métricas.",
        "aplicación",
        [
            state(
                "Página",
                f"min(probe_success{{{PAGE}}})",
                legend="Página",
                description="La primera página de su contrato responde, vista desde el servidor.",
                width=6,
                alerts=["ApplicationDown"],
            ),
            stat(
                "Respuesta",
                f"max(avg_over_time(probe_duration_seconds{{{PAGE}}}[5m]))",
                legend="Respuesta",
                description="Lo que tarda esa página, media de cinco minutos.",
                unit=units.Seconds,
                width=6,
                levels=too_much(orange=1, red=2, because="Rojo desde 2 s: salta ApplicationSlow."),
                alerts=["ApplicationSlow"],
            ),
            state(
                "Métricas",
                f"min(up{{{METRICS}}})",
                legend="Métricas",
                description="Prometheus lee las métricas de las que las tienen.",
                width=6,
                alerts=["ApplicationMetricsDown"],
                nothing=("Ninguna las tiene", GRAY),
            ),
            stat(
                "Memoria",
                f"max(container:memory_used:percent{{{CONTAINERS}}})",
                legend="Memoria",
                description="El contenedor más cerca de su límite.",
                unit=units.Percent,
                width=6,
                decimals=1,
                levels=too_much(
                    orange=75,
                    red=90,
                    because="Rojo desde el 90 %: salta ContainerMemoryAlmostFull.",
                ),
                alerts=["ContainerMemoryAlmostFull"],
            ),
            graph(
                "Peticiones",
                query(
                    f"sum by (app) (rate(http_requests_total{{{METRICS}}}[2m]))",
                    "{{app}}",
                ),
                description="Peticiones por segundo que cuenta cada aplicación "
                "(http_requests_total).",
                unit=units.RequestsPerSecond,
                decimals=1,
            ),
            graph(
                "Respuesta de la página",
                query(
                    f"sum by (app, phase) (probe_http_duration_seconds{{{PAGE}}})",
                    "{{app}} {{phase}}",
                ),
                description="Lo que tarda la página, vista desde el servidor, por fase.",
                unit=units.Seconds,
                stacked=True,
                alerts=["ApplicationSlow"],
            ),
            graph(
                "Memoria de cada contenedor",
                query(f"container_memory_working_set_bytes{{{CONTAINERS}}}", "{{name}}"),
                description="Memoria en uso, sin la caché que se puede soltar.",
                unit=units.BytesIEC,
                decimals=1,
                alerts=["ContainerMemoryAlmostFull"],
            ),
            graph(
                "Procesador de cada contenedor",
                query(f"container:cpu_used:percent{{{CONTAINERS}}}", "{{name}}"),
                description="Tiempo de procesador, en % de uno.",
                unit=units.Percent,
                decimals=1,
            ),
        ],
        variables=[
            variable(
                "aplicacion",
                "Aplicación",
                'label_values(probe_success{job="application_pages"}, app)',
                "Las de webapp_apps; la del proyecto tiene su propio tablero.",
            )
        ],
        links=[("¿Está todo bien?", "estado-general"), ("Contenedores", "contenedores")],
    )
