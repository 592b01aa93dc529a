"""Filter `scrape_jobs`: what of which host Prometheus scrapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: scrape_jobs
short_description: tell the scrape jobs of a monitoring server
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Turns listeners into the jobs of the role prometheus. A job is there when this host has the
    service, or one that it monitors has it where others can reach it.
  - Services with the same job name become one job.
positional: host, monitored
options:
  _input:
    description:
      - What the filter P(labstack.stack.listeners#filter) returns. What is scraped has C(scrape), a
        job as the role prometheus takes it, but for its targets.
      - C(scrape.target) is what is asked, by default V({host}:{port}).
      - C(scrape.proxied_by) names the service of this host that probes the target on Prometheus's
        behalf. Where this host has it not, the job is left out.
    type: dict
    required: true
  host:
    description: The name of this host.
    type: str
    required: true
  monitored:
    description:
      - The variables of each other host that is monitored. C(inventory_hostname), C(stack_address),
        and C(stack_listeners) are read.
      - With any, this host's targets get the label C(host) too.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
# [{name: node, targets: ["localhost:9100"], hosts: {web: ["192.0.2.7:9100"]}, labels: {host: mon}}]
prometheus_jobs: "{{ stack_listeners | labstack.stack.scrape_jobs('mon', [hostvars['web']]) }}"
"""

RETURN = r"""
_value:
  description: The jobs, as the role prometheus takes them.
  type: list
  elements: dict
"""

_Listeners = Mapping[str, Mapping[str, Any]]
# As a browser writes it.
_DEFAULT_PORT = re.compile(r"^(http://[^/]+):80(?=/)|^(https://[^/]+):443(?=/)")


def scrape_jobs(
    listeners: _Listeners, host: str, monitored: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return the jobs of the monitoring server `host`; see DOCUMENTATION.

    Raises AnsibleFilterError where a job has no name, or its prober is no service.
    """
    others = list(monitored)
    jobs: dict[str, dict[str, Any]] = {}
    for service, listener in listeners.items():
        scrape = dict(listener.get("scrape") or {})
        if not scrape:
            continue
        name, target = scrape.get("name"), scrape.pop("target", "{host}:{port}")
        if not name:
            raise AnsibleFilterError(
                f"stack_services.{service}.scrape has no name, as in: scrape: {{name: node}}"
            )
        if prober := scrape.pop("proxied_by", None):
            if prober not in listeners:
                raise AnsibleFilterError(
                    f"stack_services.{service}.scrape.proxied_by is {prober!r}, which is no "
                    "service that listens, as in: proxied_by: blackbox_exporter"
                )
            if not listeners[prober]["present"]:
                continue
            scrape["proxied_by"] = listeners[prober]["address"]
        own = [_fill(target, listener["host"], listener["port"])] if listener["present"] else []
        hosts = {
            str(other["inventory_hostname"]): [_fill(target, other["stack_address"], its["port"])]
            for other in others
            if (its := other["stack_listeners"][service])["present"] and not its["closed"]
        }
        if not own and not hosts:
            continue
        job = jobs.setdefault(name, {**scrape, "targets": []})
        job["targets"] += own
        if others:
            job["labels"] = {**scrape.get("labels", {}), "host": host}
        for other_host, targets in hosts.items():
            job.setdefault("hosts", {}).setdefault(other_host, []).extend(targets)
    return list(jobs.values())


def _fill(target: str, host: object, port: object) -> str:
    """Return the target with its place; a web page's default port is left out."""
    filled = target.replace("{host}", str(host)).replace("{port}", str(port))
    return _DEFAULT_PORT.sub(lambda found: found[1] or found[2], filled)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        """Return the filters of this file by name."""
        return {"scrape_jobs": scrape_jobs}
