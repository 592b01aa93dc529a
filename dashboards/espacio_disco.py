"""The disk as the course document shows it: one gauge."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from dashboards.parts import GREEN, ORANGE, RED, Levels, board, filters, gauge, query


def dashboard() -> models.Dashboard:
    """Return the dashboard."""
    return board(
        "espacio-disco",
        "Espacio en disco",
        "Espacio libre en el disco del servidor.",
        "linux",
        [
            gauge(
                "Espacio disponible en disco",
                query(
                    'node_filesystem_avail_bytes{mountpoint="/",fstype!="rootfs"}',
                    "Disponible {{host}}",
                ),
                query(
                    'node_filesystem_size_bytes{mountpoint="/",fstype!="rootfs"}', "max"
                ).instant(),
                description="Espacio libre del sistema de archivos raíz. El máximo del indicador "
                "es el tamaño del disco.",
                unit=units.BytesSI,
                width=12,
                height=12,
                levels=Levels(
                    [(RED, None), (ORANGE, 10), (GREEN, 20)],
                    "Rojo por debajo del 10 %: salta HostDiskAlmostFull. Naranja hasta el doble.",
                    models.ThresholdsMode.PERCENTAGE,
                ),
                alerts=["HostDiskAlmostFull", "HostDiskFillsSoon"],
            ).with_transformation(
                models.DataTransformerConfig(
                    id_val="configFromData",
                    options={
                        "configRefId": "B",
                        "mappings": [{"fieldName": "max", "handlerKey": "max"}],
                    },
                )
            ),
        ],
        minutes=30,
        variables=[filters()],
    )
