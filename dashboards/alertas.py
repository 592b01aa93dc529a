"""The alerts: which fire, since when, and whether notifications arrive."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import (
    ORANGE,
    RED,
    board,
    graph,
    query,
    stat,
    state,
    table,
    too_much,
    variable,
)

# The dashboard that shows more of an alert, by the alert's name; a later line wins.
DASHBOARD_OF = {
    ".*": "alertas",
    "Host.*": "rYdddlPWk",
    "HostDisk.*": "espacio-disco",
    "HostMemoryLow|HighCPUUsage": "uso-cpu-memoria",
    "Probe.*|Certificate.*|Apache.*": "apache",
    "Webapp.*": "aplicacion",
    "Application.*": "aplicaciones",
    "Container.*": "contenedores",
    "MySQL.*": "mysql",
}


def _with_dashboard(expr: str) -> str:
    """Return an expression whose series have the label `panel`: the uid of their dashboard."""
    for pattern, uid in DASHBOARD_OF.items():
        expr = f'label_replace({expr}, "panel", "{uid}", "alertname", "{pattern}")'
    return expr


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    return board(
        "alertas",
        "Alertas",
        "Qué alerta salta, desde cuándo, y si los avisos llegan.",
        "estado",
        [
            stat(
                "Activas",
                'count(ALERTS{alertstate="firing", severity=~"critical|warning"}) or vector(0)',
                legend="Activas",
                description="Alertas activas que piden que alguien haga algo.",
                unit=units.NoUnit,
                width=4,
                levels=too_much(red=1, because="Rojo: al menos una."),
            ),
            stat(
                "Pendientes",
                'count(ALERTS{alertstate="pending"}) or vector(0)',
                legend="Pendientes",
                description="Condiciones que se cumplen, pero no desde hace bastante.",
                unit=units.NoUnit,
                width=4,
                levels=too_much(orange=1, because="Naranja: al menos una, que puede irse sola."),
            ),
            state(
                "Vigilancia",
                'count(ALERTS{alertname="Watchdog", alertstate="firing"})',
                legend="Watchdog",
                description="La alerta Watchdog salta siempre: que esté es buena señal.",
                width=4,
                alerts=["Watchdog"],
            ),
            stat(
                "Reglas",
                "sum(prometheus_rule_group_rules)",
                legend="Reglas",
                description="Reglas que Prometheus calcula.",
                unit=units.NoUnit,
                width=4,
                alerts=["PrometheusConfigurationRefused"],
            ),
            stat(
                "Avisos entregados",
                "sum(alertmanager_notifications_total) - "
                "sum(alertmanager_notifications_failed_total)",
                legend="Avisos",
                description="Avisos que Alertmanager ha entregado desde su arranque, por todos "
                "los medios.",
                unit=units.NoUnit,
                width=4,
            ),
            stat(
                "Avisos fallidos",
                "sum(increase(alertmanager_notifications_failed_total[1h]))",
                legend="Fallidos",
                description="Avisos que no llegaron, en la última hora.",
                unit=units.NoUnit,
                width=4,
                levels=too_much(red=1, because="Rojo: uno que no llega deja a alguien sin saber."),
                alerts=["AlertmanagerDeliveryFailing"],
            ),
            table(
                "Qué pasa ahora",
                _with_dashboard('ALERTS{alertstate="firing", alertname=~"$alerta"}'),
                description="Cada alerta activa, y el panel donde se ve más. Qué hacer: en la "
                "guía (docs/runbooks.md), la sección del mismo nombre.",
                columns={
                    "alertname": "Alerta",
                    "severity": "Gravedad",
                    "host": "Servidor",
                    "instance": "Instancia",
                    "job": "Trabajo",
                    "panel": "Panel",
                },
                hidden=["Time", "Value", "__name__", "alertstate", "image", "name"],
            )
            .override_by_name(
                "Gravedad",
                [
                    models.DynamicConfigValue(
                        id_val="mappings",
                        value=[
                            models.ValueMap(
                                options={
                                    "critical": models.ValueMappingResult(color=RED, index=0),
                                    "warning": models.ValueMappingResult(color=ORANGE, index=1),
                                }
                            )
                        ],
                    ),
                    models.DynamicConfigValue(
                        id_val="custom.cellOptions", value={"type": "color-text"}
                    ),
                ],
            )
            .override_by_name(
                "Panel",
                [
                    models.DynamicConfigValue(
                        id_val="mappings",
                        value=[
                            models.ValueMap(
                                options={
                                    # Of grafana.com, 1860: its uid says nothing to people.
                                    "rYdddlPWk": models.ValueMappingResult(
                                        text="node-exporter-full", index=0
                                    )
                                }
                            )
                        ],
                    ),
                    models.DynamicConfigValue(
                        id_val="links",
                        value=[
                            {
                                "title": "Ver el panel",
                                "url": "/d/${__value.raw}?${__url_time_range}",
                            }
                        ],
                    ),
                ],
            ),
            graph(
                "Alertas en el tiempo",
                query(
                    'count by (alertname) (ALERTS{alertstate="firing", alertname=~"$alerta"})',
                    "{{alertname}}",
                ),
                description="Alertas activas, por nombre.",
                unit=units.NoUnit,
                stacked=True,
            ),
            graph(
                "Objetivos",
                query("sum by (job) (up)", "{{job}}"),
                description="Objetivos que Prometheus lee, por trabajo.",
                unit=units.NoUnit,
                alerts=["TargetDown", "TargetFlapping"],
            ),
            graph(
                "Alertas que recibe Alertmanager",
                query("sum(rate(prometheus_notifications_sent_total[5m]))", "Enviadas"),
                query("sum(rate(alertmanager_alerts_received_total[5m]))", "Aceptadas"),
                description="Alertas por segundo que Prometheus envía y Alertmanager acepta.",
                unit=units.OpsPerSecond,
                decimals=3,
                height=8,
                alerts=["PrometheusNotificationsFailing"],
            ),
            graph(
                "Tiempo de las reglas",
                query("prometheus_rule_group_last_duration_seconds", "{{rule_group}}"),
                description="Lo que tarda Prometheus en calcular cada grupo.",
                unit=units.Seconds,
                height=8,
                alerts=["PrometheusRuleFailures"],
            ).with_transformation(
                # The group alone: before it stands the path of its file.
                models.DataTransformerConfig(
                    id_val="renameByRegex",
                    options={"regex": ".*;(.*)", "renamePattern": "$1"},
                )
            ),
        ],
        minutes=360,
        variables=[
            variable(
                "alerta",
                "Alerta",
                "label_values(ALERTS, alertname)",
                "Las de la tabla y del gráfico de abajo.",
            )
        ],
    )
