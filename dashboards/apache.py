"""Apache: requests, threads, the certificate."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import (
    CERTIFICATE,
    DAYS,
    board,
    graph,
    host_variable,
    query,
    stat,
    state,
    too_much,
)


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    return board(
        "apache",
        "Apache",
        "El servidor web: peticiones, hilos, certificado.",
        "aplicación",
        [
            state(
                "Apache",
                'min(apache_up{host=~"$servidor"})',
                legend="Apache",
                description="El exportador lee server-status.",
                width=4,
                alerts=["ApacheDown"],
            ),
            stat(
                "En marcha desde hace",
                'min(apache_uptime_seconds_total{host=~"$servidor"})',
                legend="En marcha",
                description="Tiempo desde el arranque.",
                unit=units.Seconds,
                width=5,
                alerts=["ApacheRestarted"],
            ),
            stat(
                "Peticiones por segundo",
                'sum(rate(apache_accesses_total{host=~"$servidor"}[2m]))',
                legend="Peticiones",
                description="Peticiones que atiende, media de dos minutos.",
                unit=units.RequestsPerSecond,
                width=5,
                decimals=1,
            ),
            stat(
                "Hilos ocupados",
                'max(instance:apache_workers_busy:percent{host=~"$servidor"})',
                legend="Ocupados",
                description="Hilos ocupados, en % de los que hay.",
                unit=units.Percent,
                width=5,
                decimals=1,
                levels=too_much(
                    orange=60, red=80, because="Rojo desde el 80 %: salta ApacheWorkersAlmostUsed."
                ),
                alerts=["ApacheWorkersAlmostUsed"],
            ),
            stat(
                "Certificado",
                'min(instance:certificate_expires:days{host=~"$servidor"})',
                legend="Días",
                description="Días que faltan hasta que caduque.",
                unit=DAYS,
                width=5,
                levels=CERTIFICATE,
                alerts=["CertificateExpiresNow", "CertificateExpiresSoon"],
            ),
            graph(
                "Peticiones",
                query('rate(apache_accesses_total{host=~"$servidor"}[2m])', "Peticiones {{host}}"),
                description="Peticiones por segundo.",
                unit=units.RequestsPerSecond,
                decimals=1,
            ),
            graph(
                "Hilos",
                query('sum by (state) (apache_workers{host=~"$servidor"})', "{{state}}"),
                description="Hilos de Apache, ocupados y libres.",
                unit=units.NoUnit,
                stacked=True,
                alerts=["ApacheWorkersAlmostUsed"],
            ),
            graph(
                "Tráfico",
                query(
                    'rate(apache_sent_kilobytes_total{host=~"$servidor"}[2m]) * 1024',
                    "Enviados {{host}}",
                ),
                description="Bytes por segundo que envía.",
                unit=units.BytesPerSecondSI,
                decimals=1,
                height=8,
            ),
            graph(
                "Duración",
                query(
                    'rate(apache_duration_ms_total{host=~"$servidor"}[2m]) / '
                    '(rate(apache_accesses_total{host=~"$servidor"}[2m]) > 0)',
                    "Media {{host}}",
                ),
                description="Duración media de una petición.",
                unit=units.Milliseconds,
                decimals=1,
                height=8,
            ),
            graph(
                "Qué hacen los hilos",
                query('sum by (state) (apache_scoreboard{host=~"$servidor"})', "{{state}}"),
                description="Estado de cada hilo (scoreboard).",
                unit=units.NoUnit,
                height=8,
                stacked=True,
            ),
            graph(
                "Respuesta de la página",
                query('probe_http_duration_seconds{host=~"$servidor"}', "{{instance}} {{phase}}"),
                description="Lo que tarda la página, vista desde el servidor, por fase.",
                unit=units.Seconds,
                height=8,
                stacked=True,
                alerts=["ProbeSlow", "ProbeFailed"],
            ),
        ],
        variables=[host_variable()],
    )
