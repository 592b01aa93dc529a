"""The module grafana_api, against the fake Grafana as a running process."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import grafana_api

from tests.unit.conftest import RunModule
from tests.unit.grafana.conftest import FakeGrafana, Prometheus


@pytest.fixture(autouse=True)
def programs(grafana: FakeGrafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put `runuser`, which changes no user here, the fake and a journal on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "runuser": f'echo "$@" >> {shlex.quote(str(tmp_path))}/commands\nshift 3\nexec "$@"\n',
        "grafana": f'exec {shlex.join(grafana.command())} "$@"\n',
        "journalctl": "echo level=error the words of the journal\n",
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.fixture
def provisioned(grafana: FakeGrafana, prometheus: Prometheus) -> FakeGrafana:
    """Return a running fake with a data source that answers and a dashboard."""
    grafana.datasource(prometheus.url)
    grafana.provide()
    grafana.dashboard("one", "One")
    grafana.up()
    return grafana


def options(grafana: FakeGrafana, wanted: str | None = None, **others: Any) -> dict[str, Any]:
    return {
        "url": grafana.url,
        "password": wanted or "admin",
        "datasource_uid": "prometheus",
        "dashboards": ["one"],
        "timeout": 1,
        "homepath": str(grafana.home),
        "config": str(grafana.config),
        **others,
    }


def test_everything_is_there(run_module: RunModule, provisioned: FakeGrafana) -> None:
    result = run_module(grafana_api.main, options(provisioned, timeout=10))
    assert (result["changed"], result["password_reset"]) == (False, False)
    assert result["version"] == "13.2.3+fake"
    assert result["datasource"] == "Successfully queried the Prometheus API."
    assert result["dashboards"] == 1


def test_another_password_converges(
    run_module: RunModule, provisioned: FakeGrafana, tmp_path: Path
) -> None:
    password = "contraseña $x; 'y' \\z"
    asked = options(provisioned, password, timeout=10)
    assert run_module(grafana_api.main, asked)["changed"] is True
    assert provisioned.get("/api/user", f"admin:{password}").status == 200
    assert run_module(grafana_api.main, asked)["changed"] is False
    commands = (tmp_path / "commands").read_text()
    assert commands.startswith("-u grafana -- grafana cli --homepath ")
    assert "--password-from-stdin" in commands
    assert "contrase" not in commands


def test_check_mode_says_that_the_password_would_change(
    run_module: RunModule, provisioned: FakeGrafana, tmp_path: Path
) -> None:
    result = run_module(grafana_api.main, options(provisioned, "another one"), check=True)
    assert (result["changed"], result["password_reset"]) == (True, True)
    assert not (tmp_path / "commands").exists()


def test_check_mode_before_the_first_installation(
    run_module: RunModule, grafana: FakeGrafana
) -> None:
    result = run_module(grafana_api.main, options(grafana), check=True)
    assert (result["changed"], result["version"], result["warnings"]) == (False, "", [])


def test_check_mode_warns_of_what_is_missing_now(
    run_module: RunModule, provisioned: FakeGrafana
) -> None:
    asked = options(provisioned, dashboards=["one", "two"])
    result = run_module(grafana_api.main, asked, check=True)
    assert result["changed"] is False
    assert "two" in result["warnings"][0]


def test_it_waits_for_a_grafana_that_is_starting(
    run_module: RunModule, grafana: FakeGrafana, prometheus: Prometheus
) -> None:
    grafana.datasource(prometheus.url)
    grafana.provide()
    grafana.dashboard("one", "One")
    grafana.start()
    assert run_module(grafana_api.main, options(grafana, timeout=15))["dashboards"] == 1


def test_nobody_answers(run_module: RunModule, grafana: FakeGrafana) -> None:
    message = run_module(grafana_api.main, options(grafana))["msg"]
    assert f"{grafana.url}/api/health does not answer" in message
    assert "the words of the journal" in message
    assert "sudo journalctl --unit grafana-server" in message


def test_a_prometheus_that_refuses_the_password(
    run_module: RunModule, provisioned: FakeGrafana, prometheus: Prometheus
) -> None:
    prometheus.credentials = "monitor:another"
    message = run_module(grafana_api.main, options(provisioned))["msg"]
    assert "401 Unauthorized" in message
    assert "grafana_prometheus_password" in message


def test_a_data_source_that_was_not_provisioned(
    run_module: RunModule, grafana: FakeGrafana
) -> None:
    grafana.up()
    message = run_module(grafana_api.main, options(grafana))["msg"]
    assert "there is no data source 'prometheus'" in message


def test_a_data_source_of_that_name_with_another_uid(
    run_module: RunModule, grafana: FakeGrafana, prometheus: Prometheus
) -> None:
    grafana.datasource(prometheus.url, uid="old")
    grafana.up()
    message = run_module(grafana_api.main, options(grafana))["msg"]
    assert "has the uid 'old', not 'prometheus'" in message
    assert "delete that data source" in message


def test_missing_dashboards_are_named_with_the_likely_cause(
    run_module: RunModule, provisioned: FakeGrafana
) -> None:
    provisioned.dashboard("two", "One")
    message = run_module(grafana_api.main, options(provisioned, dashboards=["one", "two"]))["msg"]
    assert "1 of 2 dashboards are not there: two" in message
    assert "uid or title that two files have" in message


def test_a_locked_out_administrator_is_explained(
    run_module: RunModule, provisioned: FakeGrafana
) -> None:
    for _ in range(5):
        provisioned.get("/api/user", "admin:guess")
    message = run_module(grafana_api.main, options(provisioned))["msg"]
    assert "five failed logins" in message


def test_a_command_line_that_fails_does_not_show_the_password(
    run_module: RunModule, provisioned: FakeGrafana, programs: Path
) -> None:
    (programs / "grafana").write_text('#!/bin/sh\nread -r line\necho "no, $line"\nexit 1\n')
    message = run_module(grafana_api.main, options(provisioned, "topsecretword"))["msg"]
    assert "cannot be reset: no, ********" in message
    assert "topsecretword" not in message


def test_a_command_line_that_is_not_there(
    run_module: RunModule, provisioned: FakeGrafana, programs: Path
) -> None:
    (programs / "grafana").unlink()
    message = run_module(grafana_api.main, options(provisioned, "another one"))["msg"]
    assert "cannot be reset" in message


def test_something_else_listens_there(run_module: RunModule, prometheus: Prometheus) -> None:
    asked = {"url": prometheus.url, "password": "x" * 8, "datasource_uid": "p", "timeout": 0}
    assert "answers 401 without JSON" in run_module(grafana_api.main, asked)["msg"]
