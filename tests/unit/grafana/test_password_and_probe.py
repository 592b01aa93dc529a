"""The role's last tasks, against the fake Grafana as a running process."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.play_role import play_role

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.grafana.conftest import FakeGrafana, Prometheus
    from tests.unit.play_role import PlayRole

__all__ = ["play_role"]


@pytest.fixture(autouse=True)
def programs(grafana: FakeGrafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put `runuser`, which changes no user here, the fake and a journal on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    places = ["--homepath", str(grafana.home), "--config", str(grafana.config)]
    scripts = {
        "runuser": f'echo "$@" >> {shlex.quote(str(tmp_path))}/commands\nshift 3\nexec "$@"\n',
        # The fake is somewhere else than the package would be.
        "grafana": f'shift 5\nexec {shlex.join(grafana.command("cli", *places))} "$@"\n',
        "journalctl": "echo level=error the words of the journal\n",
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def provisioned(grafana: FakeGrafana, prometheus: Prometheus) -> FakeGrafana:
    """Return a running fake with a data source that answers and a dashboard."""
    grafana.datasource(prometheus.url)
    grafana.provide()
    grafana.dashboard("one", "One")
    grafana.up()
    return grafana


def variables(grafana: FakeGrafana, password: str = "admin", **others: Any) -> dict[str, Any]:  # noqa: S107 - the fake's
    return {
        "grafana_listen_address": grafana.url.removeprefix("http://"),
        "grafana_admin_password": password,
        "grafana_ready_timeout": 1,
        "__grafana_all_dashboards": [{"uid": "one"}],
        **others,
    }


def said(output: str) -> str:
    """Return a run's output in one line, since a message may be broken anywhere."""
    return " ".join(output.split())


def test_another_password_converges(
    play_role: PlayRole, provisioned: FakeGrafana, tmp_path: Path
) -> None:
    password = "contraseña $x; 'y' \\z"
    asked = variables(provisioned, password)
    told = play_role("grafana", asked, "--check", tasks_from="password")
    assert (told.status, told.changed) == (0, 1), told.output
    assert not (tmp_path / "commands").exists()

    played = play_role("grafana", asked, tasks_from="password")
    assert (played.status, played.changed) == (0, 1), played.output
    assert provisioned.get("/api/user", f"admin:{password}").status == 200
    commands = (tmp_path / "commands").read_text()
    assert commands.startswith("-u grafana -- grafana cli --homepath ")
    assert "--password-from-stdin" in commands
    assert "contrase" not in commands

    again = play_role("grafana", asked, tasks_from="password")
    assert (again.status, again.changed) == (0, 0), again.output


def test_nobody_answers(play_role: PlayRole, grafana: FakeGrafana) -> None:
    told = play_role("grafana", variables(grafana), "--check", tasks_from="password")
    assert (told.status, told.changed) == (0, 0), told.output

    played = play_role("grafana", variables(grafana), tasks_from="password")
    assert played.status != 0
    assert f"{grafana.url} does not answer" in said(played.output)
    assert "the words of the journal" in played.output


def test_a_command_line_that_fails_does_not_show_the_password(
    play_role: PlayRole, provisioned: FakeGrafana, programs: Path
) -> None:
    (programs / "grafana").write_text('#!/bin/sh\nread -r line\necho "no, $line"\nexit 1\n')
    asked = variables(provisioned, "topsecretword")
    played = play_role("grafana", asked, "-vvv", tasks_from="password")
    assert played.status != 0
    assert "could not be reset" in said(played.output)
    # The command that the test itself typed shows it.
    assert "no, topsecretword" not in played.output


def test_what_was_provisioned_is_found(play_role: PlayRole, provisioned: FakeGrafana) -> None:
    played = play_role("grafana", variables(provisioned), tasks_from="probe")
    assert (played.status, played.changed) == (0, 0), played.output


def test_a_prometheus_that_refuses_the_password(
    play_role: PlayRole, provisioned: FakeGrafana, prometheus: Prometheus
) -> None:
    prometheus.credentials = "monitor:another"
    played = play_role("grafana", variables(provisioned), tasks_from="probe")
    assert played.status != 0
    assert "401 Unauthorized" in said(played.output)
    assert "do grafana_prometheus_user and grafana_prometheus_password" in said(played.output)


def test_a_data_source_of_that_name_with_another_uid(
    play_role: PlayRole, grafana: FakeGrafana, prometheus: Prometheus
) -> None:
    grafana.datasource(prometheus.url, uid="old")
    grafana.up()
    played = play_role("grafana", variables(grafana), tasks_from="probe")
    assert played.status != 0
    assert 'there is no data source "prometheus"' in said(played.output)
    assert "delete it in Grafana" in said(played.output)


def test_missing_dashboards_are_named_with_the_likely_cause(
    play_role: PlayRole, provisioned: FakeGrafana
) -> None:
    provisioned.dashboard("two", "One")
    wanted = [{"uid": "one"}, {"uid": "two"}]
    asked = variables(provisioned, __grafana_all_dashboards=wanted)
    played = play_role("grafana", asked, tasks_from="probe")
    assert played.status != 0
    assert "these dashboards are not there: two" in said(played.output)
    assert "uid or title that two files" in said(played.output)
