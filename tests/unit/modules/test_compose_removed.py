"""compose_removed: what Compose has labelled goes, the data only where it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.labstack.stack.plugins.modules import compose_removed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import RunModule

OPTIONS = {"project": "webapp", "images": "labstack/"}
REMOVED = [
    "container webapp-mysql-1",
    "container webapp-apache-1",
    "network webapp_front",
    "image labstack/apache:1",
]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine with the project and with something else; where its changes are written."""
    log = tmp_path / "log"
    log.touch()
    program = tmp_path / "docker"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '"ps "*label=com.docker.compose.project=webapp*)'
        " echo webapp-mysql-1; echo webapp-apache-1 ;;\n"
        '"network ls "*project=webapp*) echo webapp_front ;;\n'
        '"volume ls "*project=webapp*) echo webapp_mysql-data ;;\n'
        '"image ls "*) echo labstack/apache:1; echo other/image:2 ;;\n'
        f'*) echo "$*" >> {log} ;;\n'
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return log


def test_check_mode_only_tells(run_module: RunModule, log: Path) -> None:
    result = run_module(compose_removed.main, OPTIONS, check=True)
    assert (result["changed"], result["removed"]) == (True, REMOVED)
    assert log.read_text() == ""


def test_the_data_stays(run_module: RunModule, log: Path) -> None:
    assert run_module(compose_removed.main, OPTIONS)["removed"] == REMOVED
    assert log.read_text().splitlines() == [
        "rm --force --volumes webapp-mysql-1 webapp-apache-1",
        "network rm webapp_front",
        "image rm --force labstack/apache:1",
        "builder prune --all --force",
    ]


def test_the_data_goes(run_module: RunModule, log: Path) -> None:
    result = run_module(compose_removed.main, {**OPTIONS, "volumes": True})
    assert "volume webapp_mysql-data" in result["removed"]
    assert "volume rm webapp_mysql-data" in log.read_text()


def test_without_docker_there_is_nothing_to_do(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not run_module(compose_removed.main, OPTIONS)["changed"]


def test_an_engine_that_does_not_answer(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    result = run_module(compose_removed.main, OPTIONS)
    assert "Cannot connect to the Docker daemon" in result["msg"]
    assert "systemctl start docker" in result["msg"]
