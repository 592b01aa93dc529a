"""Panels without data on a stand-in host, and why; searched in "dashboard / panel: query"."""

from __future__ import annotations

_KERNEL = "the kernel of the machine does not count it"
_HARDWARE = "a virtual machine has no such hardware"

_FOREIGN = "this host has the bundled application alone; tests/applications looks at these"

WITHOUT_DATA: dict[str, str] = {
    'job="application': _FOREIGN,
    "backup_": "a host that is minutes old has made no backup; tests/backup looks at its metrics",
    "node_pressure_irq_stalled_seconds_total": _KERNEL,
    "node_schedstat_": _KERNEL,
    "node_kernel_hung_tasks": _KERNEL,
    "node_memory_HardwareCorrupted_bytes": _KERNEL,
    "node_cpu_guest_seconds_total.*> 0": "shown above 0 only, and the host has no guests",
    "node_cpu_scaling_frequency_": _HARDWARE,
    "node_hwmon_": _HARDWARE,
    "node_cooling_device_": _HARDWARE,
    "node_power_supply_online": _HARDWARE,
    'states\\{state="(fin_|clos|syn_|last_)': "counted only while a connection is in that state",
    "node_netstat_Tcp_MaxConn": "Node Exporter leaves this field out, being -1 on every Linux",
}
