"""Filter `scrape_jobs`: what of which host Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: scrape_jobs
short_description: tell the scrape jobs of a host that watches itself and perhaps others
version_added: "0.2.0"
author: labstack
description:
  - Turns a list of what can be scraped into the jobs of the role prometheus. A job is there when
    this host, or one that it watches, has what the job needs.
positional: here, services, watched
options:
  _input:
    description:
      - A list of dictionaries, each a job as the role prometheus takes it, but for its targets.
      - C(targets) is a list of addresses in which C({host}) stands for the scraped host.
      - C(needs) names the service that a host must have to be a target. Without it every host is.
      - C(by) names the service that this host must have, because it does the looking.
      - C(here), if true, leaves the other hosts out.
    type: list
    elements: dict
    required: true
  here:
    description: The name of this host. Its services are found on localhost.
    type: str
    required: true
  services:
    description: The services of this host.
    type: list
    elements: str
    required: true
  watched:
    description:
      - The variables of each other host that is watched. C(inventory_hostname), C(stack_address),
        and C(stack_services) are read.
      - With any, this host's targets get the label C(host) too.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
# [{name: node, targets: ["localhost:9100"], hosts: {web: ["192.0.2.7:9100"]}, labels: {host: mon}}]
prometheus_jobs: "{{ [{'name': 'node', 'targets': ['{host}:9100']}]
  | labstack.stack.scrape_jobs('mon', [], [hostvars['web']]) }}"
"""

RETURN = r"""
_value:
  description: The jobs, as the role prometheus takes them.
  type: list
  elements: dict
"""

_OWN = {"needs", "by", "here", "targets"}


def scrape_jobs(
    scrapes: Iterable[Mapping[str, Any]],
    here: str,
    services: Iterable[str],
    watched: Iterable[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Return the jobs of the host `here`; see DOCUMENTATION.

    Raises AnsibleFilterError where an entry has no name or no targets.
    """
    own, others = set(services), list(watched)
    jobs = []
    for scrape in scrapes:
        name, targets = scrape.get("name"), scrape.get("targets")
        if not name or not targets:
            raise AnsibleFilterError(
                f"scrape_jobs: {dict(scrape)} has no name or no targets, as in: "
                "{name: node, targets: ['{host}:9100']}"
            )
        needs, by = scrape.get("needs"), scrape.get("by")
        if by and by not in own:
            continue
        hosts = {
            str(host["inventory_hostname"]): _addresses(targets, host["stack_address"])
            for host in others
            if not scrape.get("here") and (not needs or needs in host["stack_services"])
        }
        at_home = _addresses(targets, "localhost") if not needs or needs in own else []
        if not at_home and not hosts:
            continue
        job = {key: value for key, value in scrape.items() if key not in _OWN}
        job["targets"] = at_home
        if others:
            job["labels"] = {**scrape.get("labels", {}), "host": here}
        if hosts:
            job["hosts"] = hosts
        jobs.append(job)
    return jobs


def _addresses(targets: Iterable[str], host: object) -> list[str]:
    return [target.replace("{host}", str(host)) for target in targets]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        """Return the filters of this file by name."""
        return {"scrape_jobs": scrape_jobs}
