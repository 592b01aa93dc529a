"""The three metrics that the course document asks for (docs/document.md has the same queries)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric of the document, in % from 0 to 100.

    Attributes:
        name: its name in the texts and of its picture.
        query: PromQL with one result a host.
        limit: where its alert begins.
        above: whether the alert fires above the limit, or below it.
        alert: the alert.
    """

    name: str
    query: str
    limit: float
    above: bool
    alert: str


METRICS = (
    Metric(
        "cpu",
        '100 - (avg(rate(node_cpu_seconds_total{mode="idle"}[2m])) * 100)',
        limit=80,
        above=True,
        alert="HighCPUUsage",
    ),
    Metric(
        "memory",
        "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100",
        limit=10,
        above=False,
        alert="HostMemoryLow",
    ),
    Metric(
        "disk",
        'node_filesystem_avail_bytes{mountpoint="/",fstype!="rootfs"}'
        ' / node_filesystem_size_bytes{mountpoint="/",fstype!="rootfs"} * 100',
        limit=10,
        above=False,
        alert="HostDiskAlmostFull",
    ),
)
