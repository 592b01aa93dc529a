"""MySQL: load, connections, memory."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import board, graph, host_variable, query, stat, state, too_much

CHOSEN = 'host=~"$servidor"'


def _per_second(metric: str, over: str = "2m") -> str:
    """Return the query for one of MySQL's own counters."""
    return f"rate(mysql_global_status_{metric}{{{CHOSEN}}}[{over}])"


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    reads = _per_second("innodb_buffer_pool_reads", "5m")
    requests = _per_second("innodb_buffer_pool_read_requests", "5m")
    refused = _per_second("aborted_connects", "5m")
    cut = _per_second("aborted_clients", "5m")
    return board(
        "mysql",
        "MySQL",
        "La base de datos: carga, conexiones, memoria.",
        "aplicación",
        [
            state(
                "MySQL",
                f"min(mysql_up{{{CHOSEN}}})",
                legend="MySQL",
                description="El exportador entra en MySQL.",
                width=4,
                alerts=["MySQLDown"],
            ),
            stat(
                "En marcha desde hace",
                f"min(mysql_global_status_uptime{{{CHOSEN}}})",
                legend="En marcha",
                description="Tiempo desde el arranque.",
                unit=units.Seconds,
                width=5,
                alerts=["MySQLRestarted"],
            ),
            stat(
                "Consultas por segundo",
                f"sum(rate(mysql_global_status_questions{{{CHOSEN}}}[2m]))",
                legend="Consultas",
                description="Consultas que llegan, media de dos minutos.",
                unit=units.OpsPerSecond,
                width=5,
                decimals=1,
            ),
            stat(
                "Consultas lentas",
                f"sum(increase(mysql_global_status_slow_queries{{{CHOSEN}}}[1h]))",
                legend="Lentas",
                description="Consultas de más de diez segundos en la última hora.",
                unit=units.NoUnit,
                width=5,
                levels=too_much(
                    orange=1,
                    because="Naranja: al menos una. MySQLSlowQueries salta con más de una por "
                    "minuto.",
                ),
                alerts=["MySQLSlowQueries"],
            ),
            stat(
                "Memoria de datos",
                f"sum(mysql_global_variables_innodb_buffer_pool_size{{{CHOSEN}}})",
                legend="Buffer pool",
                description="Tamaño del buffer pool de InnoDB.",
                unit=units.BytesIEC,
                width=5,
                alerts=["MySQLBufferPoolTooSmall"],
            ),
            graph(
                "Consultas",
                query(
                    "sum by (command) (rate(mysql_global_status_commands_total{"
                    f'command=~"select|insert|update|delete|commit|rollback", {CHOSEN}}}[2m]))',
                    "{{command}}",
                ),
                description="Consultas por segundo, por clase.",
                unit=units.OpsPerSecond,
                decimals=1,
                stacked=True,
            ),
            graph(
                "Conexiones",
                query(f"mysql_global_status_threads_connected{{{CHOSEN}}}", "Abiertas {{host}}"),
                query(f"mysql_global_status_threads_running{{{CHOSEN}}}", "Trabajan {{host}}"),
                query(f"mysql_global_variables_max_connections{{{CHOSEN}}}", "Máximo {{host}}"),
                description="Conexiones abiertas, las que trabajan, y las que se admiten.",
                unit=units.NoUnit,
                alerts=["MySQLConnectionsAlmostUsed"],
            ),
            graph(
                "Red",
                query(_per_second("bytes_received"), "Recibidos {{host}}"),
                query(_per_second("bytes_sent"), "Enviados {{host}}"),
                description="Bytes por segundo.",
                unit=units.BytesPerSecondSI,
                decimals=1,
                height=8,
            ),
            graph(
                "Lecturas del disco",
                query(f"{reads} / ({requests} > 0) * 100", "Del disco {{host}}"),
                description="Lecturas que no encuentran los datos en memoria, en % de todas.",
                unit=units.Percent,
                decimals=2,
                height=8,
                levels=too_much(
                    red=5, because="La alerta MySQLBufferPoolTooSmall salta por encima del 5 %."
                ),
                alerts=["MySQLBufferPoolTooSmall"],
            ),
            graph(
                "Filas",
                query(_per_second("innodb_row_ops_total"), "{{operation}} {{host}}"),
                description="Filas de InnoDB por segundo, por operación.",
                unit=units.OpsPerSecond,
                decimals=1,
                at_least=1,
                height=8,
            ),
            graph(
                "Intentos fallidos",
                query(f"{refused} * 60", "Rechazadas {{host}}"),
                query(f"{cut} * 60", "Cortadas {{host}}"),
                description="Conexiones rechazadas o cortadas por minuto.",
                unit=units.NoUnit,
                decimals=1,
                at_least=1,
                height=8,
                levels=too_much(
                    red=2,
                    because="MySQLRefusedConnections salta con más de diez rechazadas en cinco "
                    "minutos, dos por minuto.",
                ),
                alerts=["MySQLRefusedConnections"],
            ),
        ],
        variables=[host_variable()],
    )
