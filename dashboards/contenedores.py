"""What each container takes: memory, processor, restarts."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import board, graph, host_variable, query, stat, too_much, variable

CHOSEN = 'name=~"$contenedor", host=~"$servidor"'
MEMORY = too_much(orange=75, red=90, because="Rojo desde el 90 %: salta ContainerMemoryAlmostFull.")


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    return board(
        "contenedores",
        "Contenedores",
        "Lo que toma cada contenedor: memoria, procesador, reinicios.",
        "aplicación",
        [
            stat(
                "Contenedores",
                f"count(container_last_seen{{{CHOSEN}}})",
                legend="Contenedores",
                description="Contenedores en marcha.",
                unit=units.NoUnit,
                width=6,
            ),
            stat(
                "Memoria",
                f"max(container:memory_used:percent{{{CHOSEN}}})",
                legend="Memoria",
                description="El contenedor más cerca de su límite.",
                unit=units.Percent,
                width=6,
                decimals=1,
                levels=MEMORY,
                alerts=["ContainerMemoryAlmostFull"],
            ),
            stat(
                "Muertes por falta de memoria",
                f"sum(increase(container_oom_events_total{{{CHOSEN}}}[1h]))",
                legend="Procesos",
                description="Procesos que el núcleo ha matado en la última hora.",
                unit=units.NoUnit,
                width=6,
                levels=too_much(red=1, because="Rojo: al menos uno, y salta ContainerOOMKill."),
                alerts=["ContainerOOMKill"],
            ),
            stat(
                "Última mirada",
                f"max(time() - container_last_seen{{{CHOSEN}}})",
                legend="Tiempo",
                description="Tiempo desde que alguien miró los contenedores por última vez.",
                unit=units.Seconds,
                width=6,
                levels=too_much(
                    orange=60, red=120, because="Rojo desde 120 s: salta ContainerMetricsStale."
                ),
                alerts=["ContainerMetricsStale"],
            ),
            graph(
                "Memoria",
                query(f"container_memory_working_set_bytes{{{CHOSEN}}}", "{{name}} {{host}}"),
                description="Memoria de cada contenedor, sin la caché que sobra.",
                unit=units.BytesIEC,
                decimals=1,
                stacked=True,
                alerts=["ContainerOOMKill"],
            ),
            graph(
                "Memoria y su límite",
                query(f"container:memory_used:percent{{{CHOSEN}}}", "{{name}} {{host}}"),
                description="Memoria de cada contenedor, en % de la que se le permite.",
                unit=units.Percent,
                decimals=1,
                maximum=100,
                levels=MEMORY,
                alerts=["ContainerMemoryAlmostFull"],
            ),
            graph(
                "CPU",
                query(f"container:cpu_used:percent{{{CHOSEN}}}", "{{name}} {{host}}"),
                description="Tiempo de procesador de cada contenedor, en % de un procesador.",
                unit=units.Percent,
                decimals=1,
                stacked=True,
            ),
            graph(
                "Procesos",
                query(f"container_processes{{{CHOSEN}}}", "{{name}} {{host}}"),
                description="Procesos de cada contenedor.",
                unit=units.NoUnit,
            ),
            graph(
                "En marcha desde hace",
                query(f"time() - container_start_time_seconds{{{CHOSEN}}}", "{{name}} {{host}}"),
                description="Tiempo desde el arranque de cada contenedor.",
                unit=units.Seconds,
                height=8,
                alerts=["ContainerRestarting"],
            ),
            graph(
                "Reinicios",
                query(f"container_engine_restarts_total{{{CHOSEN}}}", "{{name}} {{host}}"),
                description="Veces que Docker ha vuelto a arrancar cada contenedor.",
                unit=units.NoUnit,
                at_least=1,
                height=8,
                alerts=["ContainerRestarting"],
            ),
        ],
        variables=[
            host_variable(),
            variable(
                "contenedor",
                "Contenedor",
                "label_values(container_last_seen, name)",
                "Por su nombre en Docker.",
                everything=".+",
            ),
        ],
    )
