"""The web application from inside: requests, errors, duration."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import (
    board,
    graph,
    host_variable,
    query,
    stat,
    state,
    too_much,
    variable,
)

# Of every application that is scraped with the metrics of app/flask/webapp/metrics.py.
CHOSEN = 'job=~"$aplicacion", host=~"$servidor"'
ERRORS = too_much(orange=1, red=5, because="Rojo desde el 5 %: salta WebappErrors.")


def _quantile(share: float) -> str:
    """Return the duration within which this share of the requests ends."""
    buckets = f"http_request_duration_seconds_bucket{{{CHOSEN}}}"
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}[5m])))"


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    return board(
        "aplicacion",
        "Aplicación",
        "La aplicación web por dentro: peticiones, errores, duración.",
        "aplicación",
        [
            state(
                "Aplicación",
                f"min(up{{{CHOSEN}}})",
                legend="Aplicación",
                description="Prometheus lee las métricas de Flask.",
                width=4,
                alerts=["WebappDown"],
            ),
            stat(
                "Peticiones por segundo",
                f"sum(instance:http_requests:rate2m{{{CHOSEN}}})",
                legend="Peticiones",
                description="Peticiones que llegan a Flask, media de dos minutos.",
                unit=units.RequestsPerSecond,
                width=5,
                decimals=1,
            ),
            stat(
                "Errores",
                f"max(instance:http_request_errors:percent{{{CHOSEN}}})",
                legend="Errores",
                description="Peticiones que acaban en un error del servidor (5xx), en % de todas.",
                unit=units.Percent,
                width=5,
                decimals=1,
                levels=ERRORS,
                alerts=["WebappErrors"],
            ),
            stat(
                "Una de cada cien tarda más de",
                f"max(instance:http_request_duration_seconds:p99{{{CHOSEN}}})",
                legend="Duración",
                description="Percentil 99 de la duración, media de cinco minutos.",
                unit=units.Seconds,
                width=5,
                levels=too_much(orange=0.5, red=1, because="Rojo desde 1 s: salta WebappSlow."),
                alerts=["WebappSlow"],
            ),
            stat(
                "Conexiones a MySQL",
                f"max(instance:db_pool_used:percent{{{CHOSEN}}})",
                legend="Conexiones",
                description="Conexiones de la aplicación en uso, en % de las que tiene.",
                unit=units.Percent,
                width=5,
                decimals=1,
                levels=too_much(
                    orange=60, red=80, because="Rojo desde el 80 %: salta WebappPoolAlmostUsed."
                ),
                alerts=["WebappPoolAlmostUsed"],
            ),
            graph(
                "Peticiones por ruta",
                query(f"sum by (route) (rate(http_requests_total{{{CHOSEN}}}[2m]))", "{{route}}"),
                description="Peticiones por segundo, por ruta.",
                unit=units.RequestsPerSecond,
                decimals=1,
                stacked=True,
            ),
            graph(
                "Respuestas por código",
                query(f"sum by (status) (rate(http_requests_total{{{CHOSEN}}}[2m]))", "{{status}}"),
                description="Peticiones por segundo, por código de respuesta.",
                unit=units.RequestsPerSecond,
                decimals=1,
                stacked=True,
                alerts=["WebappErrors"],
            ),
            graph(
                "Errores",
                query(f"instance:http_request_errors:percent{{{CHOSEN}}}", "{{job}} {{instance}}"),
                description="Peticiones que acaban en un error del servidor, en % de todas.",
                unit=units.Percent,
                decimals=2,
                at_least=1,
                levels=ERRORS,
                alerts=["WebappErrors"],
            ),
            graph(
                "Duración",
                query(_quantile(0.5), "La mitad"),
                query(_quantile(0.9), "90 %"),
                query(_quantile(0.99), "99 %"),
                description="Lo que tarda como mucho la mitad, el 90 % y el 99 % de las "
                "peticiones.",
                unit=units.Seconds,
                levels=too_much(
                    red=1, because="La alerta WebappSlow salta cuando el 99 % pasa de 1 s."
                ),
                alerts=["WebappSlow"],
            ),
            graph(
                "Duración por ruta",
                query(
                    f"sum by (route) (rate(http_request_duration_seconds_sum{{{CHOSEN}}}[5m])) / "
                    "(sum by (route) "
                    f"(rate(http_request_duration_seconds_count{{{CHOSEN}}}[5m])) > 0)",
                    "{{route}}",
                ),
                description="Duración media de una petición, por ruta.",
                unit=units.Seconds,
            ),
            graph(
                "En curso y conexiones",
                query(f"sum(http_requests_in_flight{{{CHOSEN}}})", "Peticiones en curso"),
                query(f"sum(db_pool_in_use{{{CHOSEN}}})", "Conexiones en uso"),
                query(f"sum(db_pool_size{{{CHOSEN}}})", "Conexiones que hay"),
                description="Peticiones que se atienden ahora, conexiones a MySQL en uso, y las "
                "que hay.",
                unit=units.NoUnit,
                alerts=["WebappPoolAlmostUsed"],
            ),
        ],
        variables=[
            host_variable(),
            variable(
                "aplicacion",
                "Aplicación",
                "label_values(http_requests_in_flight, job)",
                "El trabajo de Prometheus que lee sus métricas.",
            ),
        ],
    )
