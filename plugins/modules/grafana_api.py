#!/usr/bin/python
"""Ansible module: Grafana answers with the wanted password, data source and dashboards."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: grafana_api
short_description: Converge Grafana's admin password and prove what was provisioned
version_added: "0.1.0"
description:
  - Waits until Grafana answers, and tries to log in. Where that fails, gives the administrator the
    wanted password with Grafana's own command line, since the password in the configuration
    counts only until the database has its first user.
  - Waits until the data source answers and every dashboard is there, since the service counts as
    started before Grafana has read what it shall provision.
  - A failure says what is missing, names likely causes, shows the end of the unit's journal and
    the command to type next.
options:
  url:
    description: Base address of Grafana on this host.
    type: str
    required: true
  username:
    description: Name of the administrator.
    type: str
    default: admin
  password:
    description: The password that shall be right.
    type: str
    required: true
  datasource_uid:
    description: Uid of the data source that must answer.
    type: str
    required: true
  datasource_name:
    description: Its name, for messages.
    type: str
    default: Prometheus
  dashboards:
    description: Uids of the dashboards that must be there.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait altogether.
    type: int
    default: 90
  unit:
    description: Name of the systemd unit.
    type: str
    default: grafana-server
  run_as:
    description: The user who runs Grafana's command line.
    type: str
    default: grafana
  homepath:
    description: Grafana's home path, for its command line.
    type: path
    default: /usr/share/grafana
  config:
    description: Grafana's configuration, for its command line. It must name the data folder.
    type: path
    default: /etc/grafana/grafana.ini
attributes:
  check_mode:
    description:
      - Tries the login, resets nothing. What is missing otherwise is a warning, as the tasks before
        changed nothing either. A Grafana that does not answer is taken for one yet to come.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
author: labstack (@labstack)
"""

EXAMPLES = r"""
- name: Converge the password and look at data source and dashboards
  labstack.stack.grafana_api:
    url: http://127.0.0.1:3000
    password: "{{ grafana_admin_password }}"
    datasource_uid: prometheus
    dashboards: [rYdddlPWk]
"""

RETURN = r"""
version:
  description: Version that Grafana reports, empty where it does not answer.
  returned: success
  type: str
password_reset:
  description: Whether the password was (would be) reset.
  returned: success
  type: bool
dashboards:
  description: Number of dashboards that Grafana has.
  returned: success
  type: int
datasource:
  description: What the data source answered.
  returned: success
  type: str
"""

import base64
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

_REQUEST_TIMEOUT = 15.0  # seconds; Grafana itself waits 30 for a data source
_CLI_TIMEOUT = 120  # seconds; on a small host the program needs some to start
_PAUSE = 0.5  # seconds between two looks
_JOURNAL_LINES = 20


class NotYetError(Exception):
    """Something is not as it should be, but may become so while one waits."""


class GrafanaError(Exception):
    """Something will not become right by waiting."""


@dataclass(frozen=True)
class Answer:
    """Status and parsed body of an answer."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """What a person should read of it."""
        words = self.body.get("message") if isinstance(self.body, dict) else None
        return f"{self.status} {words or ''}".strip()


@dataclass(frozen=True)
class Grafana:
    """A Grafana and the administrator's name and password."""

    url: str
    username: str
    password: str

    def get(self, path: str, *, login: bool = True) -> Answer:
        """Return the answer to GET ``path``, of an error status too.

        Raises:
            NotYetError: no answer; the message names the address and the reason.
        """
        address = self.url.rstrip("/") + path
        request = urllib.request.Request(address)  # noqa: S310 - the role writes http(s)
        if login:
            pair = f"{self.username}:{self.password}".encode()
            request.add_header("Authorization", "Basic " + base64.b64encode(pair).decode())
        # A proxy of the environment is for the outside; this is the host itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_REQUEST_TIMEOUT) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        except (OSError, ValueError) as error:
            raise NotYetError(f"{address} does not answer: {error}") from error
        try:
            return Answer(status, json.loads(text))
        except ValueError as error:
            raise NotYetError(f"{address} answers {status} without JSON") from error

    def version(self) -> str:
        """Return the version, once the database is usable. Raises NotYetError."""
        answer = self.get("/api/health", login=False)
        if answer.status != 200 or answer.body.get("database") != "ok":
            raise NotYetError(f"{self.url}/api/health answers {answer.message}: {answer.body}")
        return str(answer.body.get("version") or "")

    def accepts_password(self) -> bool:
        """Say whether the login works. Raises NotYetError."""
        answer = self.get("/api/user")
        if answer.status not in (200, 401):
            raise NotYetError(f"{self.url}/api/user answers {answer.message}")
        return answer.status == 200

    def datasource(self, uid: str, name: str) -> str:
        """Return what the data source's own check says. Raises NotYetError."""
        answer = self.get(f"/api/datasources/uid/{urllib.parse.quote(uid)}/health")
        if answer.status == 200 and answer.body.get("status") == "OK":
            return str(answer.body.get("message"))
        if answer.status == 404:
            other = self.get(f"/api/datasources/name/{urllib.parse.quote(name)}")
            if other.status == 200:
                raise NotYetError(
                    f"the data source '{name}' has the uid '{other.body.get('uid')}', not '{uid}', "
                    "and Grafana does not change a uid: delete that data source in Grafana "
                    "(Connections > Data sources), or, where it is read-only, by a provisioning "
                    f"file with deleteDatasources: [{{name: {name}, orgId: 1}}]; restart the unit"
                )
            raise NotYetError(
                f"there is no data source '{uid}': Grafana has not provisioned it, the journal "
                "below says why (level=error)"
            )
        raise NotYetError(
            f"the data source '{uid}' does not answer: {answer.message}. Is Prometheus running at "
            "grafana_prometheus_url, and do grafana_prometheus_user and "
            "grafana_prometheus_password open it?"
        )

    def dashboard_count(self, wanted: list[str]) -> int:
        """Return how many dashboards there are, all wanted ones among them. Raises NotYetError."""
        answer = self.get("/api/search?type=dash-db&limit=5000")
        if answer.status != 200:
            raise NotYetError(f"the search for dashboards answers {answer.message}")
        present = {entry.get("uid") for entry in answer.body}
        missing = [uid for uid in wanted if uid not in present]
        if missing:
            raise NotYetError(
                f"{len(missing)} of {len(wanted)} dashboards are not there: {', '.join(missing)}. "
                "A uid or title that two files have keeps Grafana from taking any of them "
                '(level=warn msg="the same UID is used more than once")'
            )
        return len(present)


@dataclass(frozen=True)
class CommandLine:
    """Grafana's own command line."""

    run_as: str
    homepath: Path
    config: Path

    def reset(self, password: str) -> None:
        """Give the first user, the administrator, another password.

        It runs as Grafana's own user: files of the database that root creates would lock Grafana
        out. The password goes through standard input, where no process list shows it.

        Raises:
            GrafanaError: the command failed; says what it printed.
        """
        command = ["runuser", "-u", self.run_as, "--", "grafana", "cli"]
        command += ["--homepath", str(self.homepath), "--config", str(self.config)]
        command += ["admin", "reset-admin-password", "--password-from-stdin"]
        try:
            done = subprocess.run(
                command,
                input=f"{password}\n",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                text=True,
                timeout=_CLI_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GrafanaError(f"the administrator's password cannot be reset: {error}") from error
        if done.returncode != 0:
            words = done.stdout.replace(password, "********").strip()
            raise GrafanaError(f"the administrator's password cannot be reset: {words}")


@dataclass
class Outcome:
    """What the module returns."""

    version: str = ""
    password_reset: bool = False
    dashboards: int = 0
    datasource: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """What must be there."""

    datasource_uid: str
    datasource_name: str = "Prometheus"
    dashboards: tuple[str, ...] = ()


def wait(look: Callable[[], Any], deadline: float, pause: float = _PAUSE) -> Any:
    """Look until it is right, until ``deadline`` (seconds of time.monotonic).

    Raises:
        NotYetError: what was wrong at the last look.
    """
    while True:
        try:
            return look()
        except NotYetError:
            if time.monotonic() + pause > deadline:
                raise
        # A service that starts sends no event; only the next look shows that it is there.
        time.sleep(pause)


def converge_password(grafana: Grafana, tool: CommandLine, deadline: float) -> bool:
    """Make the login work; return whether the password was reset.

    Raises:
        NotYetError, GrafanaError: it does not work.
    """
    if wait(grafana.accepts_password, deadline):
        return False
    tool.reset(grafana.password)
    if not wait(grafana.accepts_password, deadline):
        raise GrafanaError(
            f"Grafana refuses the login of '{grafana.username}' right after its password was "
            "reset. After five failed logins it refuses even the right password for five minutes: "
            "find who tries (the journal shows remote_addr), wait, run again"
        )
    return True


def converge(grafana: Grafana, tool: CommandLine, wanted: Wanted, timeout: float) -> Outcome:
    """Converge the password and wait for the rest, for at most ``timeout`` seconds.

    Raises:
        NotYetError, GrafanaError: what is wrong.
    """
    deadline = time.monotonic() + timeout
    outcome = Outcome(version=wait(grafana.version, deadline))
    outcome.password_reset = converge_password(grafana, tool, deadline)
    uid, name = wanted.datasource_uid, wanted.datasource_name
    outcome.datasource = wait(lambda: grafana.datasource(uid, name), deadline)
    outcome.dashboards = wait(lambda: grafana.dashboard_count(list(wanted.dashboards)), deadline)
    return outcome


def preview(grafana: Grafana, wanted: Wanted) -> Outcome:
    """Say what a run would do now, without waiting or changing anything."""
    outcome = Outcome()
    try:
        outcome.version = grafana.version()
    except NotYetError:
        return outcome
    try:
        outcome.password_reset = not grafana.accepts_password()
        if not outcome.password_reset:
            uid, name = wanted.datasource_uid, wanted.datasource_name
            outcome.datasource = grafana.datasource(uid, name)
            outcome.dashboards = grafana.dashboard_count(list(wanted.dashboards))
    except NotYetError as error:
        outcome.warnings.append(f"As Grafana runs now, {error}.")
    return outcome


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


def explain(unit: str, reason: str, lines: str) -> str:
    """Return the message of a failure: what is wrong, what the service said, what to type next."""
    return (
        f"Grafana is not as it should be: {reason}.\n"
        f"The last lines of its journal:\n{lines}\n"
        f"On the host, type next: systemctl status {unit}; "
        f"sudo journalctl --unit {unit} --lines 100 | grep -E 'level=(warn|error)'"
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "username": {"type": "str", "default": "admin"},
            "password": {"type": "str", "required": True, "no_log": True},
            "datasource_uid": {"type": "str", "required": True},
            "datasource_name": {"type": "str", "default": "Prometheus"},
            "dashboards": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 90},
            "unit": {"type": "str", "default": "grafana-server"},
            "run_as": {"type": "str", "default": "grafana"},
            "homepath": {"type": "path", "default": "/usr/share/grafana"},
            "config": {"type": "path", "default": "/etc/grafana/grafana.ini"},
        },
        supports_check_mode=True,
    )
    given = module.params
    grafana = Grafana(given["url"], given["username"], given["password"])
    tool = CommandLine(given["run_as"], Path(given["homepath"]), Path(given["config"]))
    wanted = Wanted(given["datasource_uid"], given["datasource_name"], tuple(given["dashboards"]))
    try:
        if module.check_mode:
            outcome = preview(grafana, wanted)
        else:
            outcome = converge(grafana, tool, wanted, given["timeout"])
    except (NotYetError, GrafanaError) as error:
        module.fail_json(msg=explain(given["unit"], str(error), journal(given["unit"])))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(
        changed=outcome.password_reset,
        version=outcome.version,
        password_reset=outcome.password_reset,
        dashboards=outcome.dashboards,
        datasource=outcome.datasource,
    )


if __name__ == "__main__":
    main()
