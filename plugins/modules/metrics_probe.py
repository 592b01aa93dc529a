#!/usr/bin/python
"""Ansible module: wait until a service on the host serves the metrics that it should."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: metrics_probe
short_description: Wait until a service serves its metrics
description:
  - Asks a service on the host for its metrics until they are as described, and changes nothing.
  - For a Prometheus, waits also until it is ready and until the targets of its jobs are up.
  - A failure says what is missing, shows the end of the unit's journal, and names the command to
    type next.
options:
  unit:
    description: Name of the systemd unit, whose journal a failure shows.
    type: str
    required: true
  url:
    description: Base address of the service, without a path.
    type: str
    required: true
  username:
    description:
      - Name for HTTP basic authentication. Without it, the demand for a password is answer enough.
    type: str
  password:
    description: Password of O(username).
    type: str
  ready_path:
    description: A path that answers 200 when the service is ready.
    type: str
  metrics:
    description: Names of metrics of which at least one sample must be served.
    type: list
    elements: str
    default: []
  equal:
    description: Metrics, each with the value that every sample of it must have.
    type: dict
    default: {}
  newer_than:
    description:
      - Metrics that hold a time in seconds since 1970, each with files. The time must be later than
        the last change (ctime) of each of them.
    type: dict
    default: {}
  targets_up:
    description: Jobs of a Prometheus, of which every target must be up.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait altogether.
    type: int
    default: 30
author: labstack
"""

EXAMPLES = r"""
- name: Wait until Node Exporter serves its metrics
  labstack.stack.metrics_probe:
    unit: node_exporter
    url: http://127.0.0.1:9100
    username: monitor
    password: "{{ password }}"
    metrics: [node_cpu_seconds_total]
"""

RETURN = r"""
samples:
  description: Number of samples served of each metric that was asked for.
  returned: success
  type: dict
protected:
  description:
    - Whether the service asked for a password that the task did not have. Then nothing else was
      looked at.
  returned: success
  type: bool
targets:
  description: The targets of O(targets_up), each with job, instance and health.
  returned: success
  type: list
"""

import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    import ssl

# A sample of the text exposition format: name, optional labels, value (and, rarely, a timestamp).
# https://prometheus.io/docs/instrumenting/exposition_formats/
_SAMPLE = re.compile(
    r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})?\s+(?P<value>\S+)(?:\s+-?\d+)?$"
)
_REQUEST_TIMEOUT = 10.0
_PAUSE = 0.25
_JOURNAL_LINES = 20


class NotYetError(Exception):
    """The service is not as it should be; the message says in which way."""


class WrongPasswordError(Exception):
    """The service does not take the password; waiting would not change that."""


class PasswordWantedError(Exception):
    """The service asks for a password and the task has none."""


@dataclass(frozen=True)
class Expectation:
    """What a service should serve."""

    metrics: Sequence[str] = ()
    equal: Mapping[str, float] = field(default_factory=dict)
    newer_than: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ready_path: str | None = None
    targets_up: Sequence[str] = ()

    @property
    def names(self) -> set[str]:
        """Every metric that is mentioned."""
        return {*self.metrics, *self.equal, *self.newer_than}


@dataclass(frozen=True)
class Service:
    """A service at a base address, perhaps behind HTTP basic authentication."""

    url: str
    username: str | None = None
    password: str | None = None

    def get(self, path: str) -> str:
        """Return the body of the answer to GET ``path``.

        Raises:
            PasswordWantedError: the answer is 401 and there is no name to send.
            WrongPasswordError: the answer is 401 to a name and a password.
            NotYetError: no answer, or not 200; the message names the address and the reason.
        """
        address = self.url.rstrip("/") + path
        request = urllib.request.Request(address)  # noqa: S310 - the role writes http(s)
        if self.username is not None:
            pair = f"{self.username}:{self.password or ''}".encode()
            request.add_header("Authorization", "Basic " + base64.b64encode(pair).decode())
        # A proxy of the environment is for the outside; this is the host itself.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if address.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=unverified_context()))
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(request, timeout=_REQUEST_TIMEOUT) as answer:
                body: bytes = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 401 and self.username is None:
                raise PasswordWantedError from error
            if error.code == 401:
                raise WrongPasswordError(
                    f"{address} answers 401: it does not take the password of {self.username!r}. "
                    "The hash in the service's web.yml belongs to another password"
                ) from error
            raise NotYetError(f"{address} answers {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            raise NotYetError(f"{address} does not answer: {error}") from error
        return body.decode(errors="replace")


def unverified_context() -> ssl.SSLContext:
    """Return a TLS context for a service of this host, whose certificate signs itself."""
    import ssl  # noqa: PLC0415 - it costs time that most runs need not spend

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def samples_of(text: str, names: set[str]) -> dict[str, list[float]]:
    """Return the values served of each metric in ``names``, an empty list where there is none."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match and match["name"] in found:
            found[match["name"]].append(float(match["value"]))
    return found


def check_metrics(text: str, expected: Expectation) -> dict[str, int]:
    """Compare the metrics in ``text`` with what is expected; return the number of samples of each.

    Raises:
        NotYetError: a metric is missing, has another value or is older than a file.
    """
    found = samples_of(text, expected.names)
    missing = sorted(name for name, values in found.items() if not values)
    if missing:
        raise NotYetError(f"no sample is served of {', '.join(missing)}")
    for name, value in expected.equal.items():
        if any(sample != value for sample in found[name]):
            raise NotYetError(f"{name} is {found[name][0]:g}, not {value:g}")
    for name, paths in expected.newer_than.items():
        for path in paths:
            behind = Path(path).stat().st_ctime - min(found[name])
            if behind > 0:
                raise NotYetError(f"{path} is not in use: {name} is {behind:.1f} s older")
    return {name: len(values) for name, values in found.items()}


def check_targets(text: str, jobs: Sequence[str]) -> list[dict[str, str]]:
    """Read Prometheus's answer to /api/v1/targets; return the targets of ``jobs``, when all are up.

    Raises:
        NotYetError: a job has no target, or a target is not up; names it and its last error.
    """
    try:
        active: list[dict[str, Any]] = list(json.loads(text)["data"]["activeTargets"])
    except (ValueError, KeyError, TypeError) as error:
        raise NotYetError(f"/api/v1/targets does not list targets, but: {text[:200]}") from error
    targets: list[dict[str, str]] = []
    complaints: list[str] = []
    for job in jobs:
        own = [target for target in active if target["labels"].get("job") == job]
        if not own:
            complaints.append(f"job {job!r} has no target")
        for target in own:
            instance, health = target["labels"].get("instance", "?"), target["health"]
            targets.append({"job": job, "instance": instance, "health": health})
            if health != "up":
                reason = target.get("lastError") or "not asked yet"
                complaints.append(f"target {instance} of job {job!r} is {health}: {reason}")
    if complaints:
        raise NotYetError("; ".join(complaints))
    return targets


def look(service: Service, expected: Expectation) -> dict[str, Any]:
    """Look at the service once.

    Raises:
        NotYetError: something is not as expected.
        WrongPasswordError: the service does not take the password.
    """
    try:
        if expected.ready_path is not None:
            service.get(expected.ready_path)
        samples = check_metrics(service.get("/metrics"), expected)
        targets = (
            check_targets(service.get("/api/v1/targets?state=active"), expected.targets_up)
            if expected.targets_up
            else []
        )
    except PasswordWantedError:
        return {"samples": {}, "targets": [], "protected": True}
    return {"samples": samples, "targets": targets, "protected": False}


def wait(
    service: Service, expected: Expectation, timeout: float, pause: float = _PAUSE
) -> dict[str, Any]:
    """Look at the service until it is as expected, for at most ``timeout`` seconds.

    Raises:
        NotYetError: what was wrong at the last look.
        WrongPasswordError: the service does not take the password.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return look(service, expected)
        except NotYetError:
            if time.monotonic() + pause > deadline:
                raise
        # A service that starts sends no event; only the next look shows that it is there.
        time.sleep(pause)


def journal(unit: str) -> str:
    """Return the last lines that the unit wrote, or why they cannot be had."""
    command = ["journalctl", "--unit", unit, "--lines", str(_JOURNAL_LINES), "--no-pager"]
    try:
        done = subprocess.run(
            [*command, "--output", "cat"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(no journal: {error})"
    return done.stdout.strip() or done.stderr.strip() or "(the journal has nothing)"


def explain(unit: str, service: Service, reason: str, lines: str) -> str:
    """Return the message of a failure: what is wrong, what the service said, what to type next."""
    options = f"--user {service.username} " if service.username else ""
    path = "/api/v1/targets" if "target" in reason else "/metrics"
    return (
        f"{unit} is not as it should be: {reason}.\n"
        f"The last lines of its journal:\n{lines}\n"
        f"On the host, type next: systemctl status {unit}; "
        f"sudo journalctl --unit {unit} --lines 50; "
        f"curl {options}{service.url.rstrip('/')}{path}"
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "ready_path": {"type": "str"},
            "metrics": {"type": "list", "elements": "str", "default": []},
            "equal": {"type": "dict", "default": {}},
            "newer_than": {"type": "dict", "default": {}},
            "targets_up": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 30},
        },
        required_by={"username": ["password"]},
        supports_check_mode=True,
    )
    given = module.params
    service = Service(given["url"], given["username"], given["password"])
    expected = Expectation(
        metrics=given["metrics"],
        equal={name: float(value) for name, value in given["equal"].items()},
        newer_than=given["newer_than"],
        ready_path=given["ready_path"],
        targets_up=given["targets_up"],
    )
    try:
        result = wait(service, expected, given["timeout"])
    except (NotYetError, WrongPasswordError) as error:
        waited = f" (waited {given['timeout']} s)" if isinstance(error, NotYetError) else ""
        unit = given["unit"]
        module.fail_json(msg=explain(unit, service, f"{error}{waited}", journal(unit)))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
