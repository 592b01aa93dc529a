"""The page people see first: whether all is well, and where to look if it is not."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import (
    CERTIFICATE,
    DAYS,
    GREEN,
    ORANGE,
    RED,
    board,
    gauge,
    graph,
    host_variable,
    query,
    stat,
    state,
    too_little,
    too_much,
)

ALERTS = ("Alertas", "alertas")
USAGE = ("Uso de CPU y memoria", "uso-cpu-memoria")
DISK = ("Espacio disponible en disco", "espacio-disco")
APPLICATION = ("Aplicación", "aplicacion")
MYSQL = ("MySQL", "mysql")
APACHE = ("Apache", "apache")


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    return board(
        "estado-general",
        "¿Está todo bien?",
        "Una mirada a todo; cada panel lleva al suyo.",
        "estado",
        [
            stat(
                "¿Está todo bien?",
                'count(ALERTS{alertstate="firing", severity=~"critical|warning"}) or vector(0)',
                legend="Alertas",
                description="Alertas activas que piden que alguien haga algo, de todos los "
                "servidores. La lista está en Alertas.",
                unit="suffix: alertas",
                width=6,
                levels=too_much(red=1, because="Rojo: al menos una."),
                see=ALERTS,
                words={"0": ("Sí", GREEN), "1": ("1 alerta", RED)},
            ),
            state(
                "Página web",
                'min(probe_success{job="web", host=~"$servidor"})',
                legend="Página",
                description="La página responde, por HTTP y por HTTPS, vista desde el servidor.",
                width=3,
                alerts=["ProbeFailed"],
                see=APACHE,
            ),
            state(
                "MySQL",
                'min(mysql_up{host=~"$servidor"})',
                legend="MySQL",
                description="El exportador entra en MySQL.",
                width=3,
                alerts=["MySQLDown"],
                see=MYSQL,
            ),
            state(
                "SSH",
                'min(probe_success{job="ssh", host=~"$servidor"})',
                legend="SSH",
                description="El servidor saluda por SSH.",
                width=3,
                alerts=["ProbeFailed"],
            ),
            state(
                "Métricas",
                'min(up{host=~"$servidor"})',
                legend="Objetivos",
                description="Prometheus lee todos sus objetivos.",
                width=3,
                alerts=["TargetDown", "HostDown"],
                see=ALERTS,
            ),
            state(
                "Avisos",
                "min(prometheus_notifications_alertmanagers_discovered > bool 0) * "
                "min(alertmanager_config_last_reload_successful)",
                legend="Avisos",
                description="Prometheus conoce un Alertmanager y este ha aceptado su "
                "configuración.",
                width=3,
                alerts=["PrometheusWithoutAlertmanager", "AlertmanagerConfigurationRefused"],
                see=ALERTS,
            ),
            stat(
                "Certificado",
                'min(instance:certificate_expires:days{host=~"$servidor"})',
                legend="Días",
                description="Días que faltan hasta que caduque el certificado de la página.",
                unit=DAYS,
                width=3,
                levels=CERTIFICATE,
                alerts=["CertificateExpiresNow", "CertificateExpiresSoon"],
                see=APACHE,
            ),
            gauge(
                "CPU",
                query('max(instance:node_cpu_used:percent{host=~"$servidor"})', "CPU").instant(),
                description="Tiempo que los procesadores no estuvieron ociosos en los dos últimos "
                "minutos, el peor servidor.",
                unit=units.Percent,
                width=6,
                maximum=100,
                levels=too_much(
                    orange=60, red=80, because="Rojo desde el 80 %: salta HighCPUUsage."
                ),
                alerts=["HighCPUUsage"],
                see=USAGE,
            ),
            gauge(
                "Memoria disponible",
                query(
                    'min(instance:node_memory_available:percent{host=~"$servidor"})', "Memoria"
                ).instant(),
                description="Memoria para programas nuevos, el peor servidor.",
                unit=units.Percent,
                width=6,
                maximum=100,
                levels=too_little(
                    orange=10, green=20, because="Rojo por debajo del 10 %: salta HostMemoryLow."
                ),
                alerts=["HostMemoryLow", "HostOOMKill", "HostSwapAlmostFull"],
                see=USAGE,
            ),
            gauge(
                "Disco libre",
                query(
                    'min(instance:node_filesystem_available:percent{host=~"$servidor"})', "Disco"
                ).instant(),
                description="El disco más lleno.",
                unit=units.Percent,
                width=6,
                maximum=100,
                levels=too_little(
                    orange=10,
                    green=20,
                    because="Rojo por debajo del 10 %: salta HostDiskAlmostFull.",
                ),
                alerts=["HostDiskAlmostFull", "HostDiskFillsSoon"],
                see=DISK,
            ),
            gauge(
                "Conexiones de MySQL",
                query(
                    'max(instance:mysql_connections_used:percent{host=~"$servidor"})', "Conexiones"
                ).instant(),
                description="Conexiones en uso, de las que MySQL admite.",
                unit=units.Percent,
                width=6,
                maximum=100,
                levels=too_much(
                    orange=60,
                    red=80,
                    because="Rojo desde el 80 %: salta MySQLConnectionsAlmostUsed.",
                ),
                alerts=["MySQLConnectionsAlmostUsed"],
                see=MYSQL,
            ),
            graph(
                "Respuesta de la página",
                query('probe_duration_seconds{job="web", host=~"$servidor"}', "{{instance}}"),
                description="Lo que tarda la página, vista desde el servidor.",
                unit=units.Seconds,
                height=8,
                levels=too_much(
                    red=2, because="La alerta ProbeSlow salta con más de 2 s de media."
                ),
                alerts=["ProbeSlow"],
                see=APACHE,
            ),
            graph(
                "Peticiones",
                query('sum(rate(apache_accesses_total{host=~"$servidor"}[2m]))', "Peticiones"),
                description="Peticiones por segundo que atiende Apache.",
                unit=units.RequestsPerSecond,
                decimals=1,
                height=8,
                see=APPLICATION,
            ),
            stat(
                "Última copia de seguridad",
                'max(time() - backup_last_success_timestamp_seconds{target="local", '
                'host=~"$servidor"})',
                legend="Copia",
                description="Tiempo desde la última copia completa en el servidor.",
                unit=units.Seconds,
                width=6,
                alerts=["BackupTooOld", "BackupFailed", "BackupShrank"],
                nothing=("Ninguna", ORANGE),
            ),
            stat(
                "Copia fuera del servidor",
                'min(time() - backup_last_success_timestamp_seconds{target!="local", '
                'host=~"$servidor"})',
                legend="Copia",
                description="Tiempo desde que la última copia llegó a otro sitio: el ordenador de "
                "quien escribe ./lab backup, o un destino de backup_targets.",
                unit=units.Seconds,
                width=6,
                alerts=["BackupTargetUnreachable"],
                nothing=("Ninguna", ORANGE),
            ),
            stat(
                "Filas guardadas",
                'sum(backup_rows{host=~"$servidor"})',
                legend="Filas",
                description="Filas de las tablas en la última copia.",
                unit=units.NoUnit,
                width=6,
            ),
            state(
                "Simulacro de restauración",
                'min(backup_drill_success{host=~"$servidor"})',
                legend="Simulacro",
                description="El último simulacro restauró una copia y comparó todas sus tablas.",
                width=6,
                alerts=["BackupDrillFailed", "BackupDrillTooOld"],
                nothing=("Ninguno", ORANGE),
            ),
        ],
        variables=[host_variable()],
        links=[
            ALERTS,
            ("CPU y memoria", "uso-cpu-memoria"),
            ("Disco", "espacio-disco"),
            ("Contenedores", "contenedores"),
            APPLICATION,
            ("Aplicaciones", "aplicaciones"),
            MYSQL,
            APACHE,
            # Of grafana.com, 1860.
            ("Node Exporter Full", "rYdddlPWk"),
        ],
    )
