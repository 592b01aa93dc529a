"""What happens to the next release, and to a changed password, on a converged host."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.ask import ask, wait_until
from tests.lab import Lab, Run, converge

REPOSITORY = Path(__file__).parents[3]
SERVICES = ("apache", "flask-app", "mysql")


def play(**variables: object) -> Run:
    """Run the role once more, with some variables set."""
    return converge("--tags", "webapp", "--extra-vars", json.dumps(variables))


def containers(host: Host) -> dict[str, str]:
    """The id of each service's container."""
    return {
        service: str(host.check_output("docker inspect -f '{{.Id}}' webapp-%s-1", service))
        for service in SERVICES
    }


def current(host: Host) -> str:
    return str(host.check_output("readlink /opt/webapp/current"))


def health(host: Host, service: str) -> str:
    """What the engine makes of a container's last checks."""
    state = "docker inspect -f '{{.State.Health.Status}}' webapp-%s-1"
    return str(host.check_output(state, service))


def readyz(host: Host) -> str:
    """What the application says of itself, through Apache."""
    probe = "import urllib.request as r; print(r.urlopen('http://127.0.0.1/readyz').read())"
    return str(host.check_output("python3 -c %s", probe))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the application, to be changed."""
    copy = tmp_path / "app"
    shutil.copytree(
        REPOSITORY / "app", copy, ignore=shutil.ignore_patterns("secrets", "tls", ".venv")
    )
    return copy


@pytest.fixture(scope="module")
def restored() -> Iterator[None]:
    """In the end the host is as the scenario's play makes it, whatever went wrong before."""
    yield
    result = play()
    assert result.status == 0, result.output


@pytest.mark.usefixtures("restored")
def test_a_changed_password_reaches_the_containers_that_use_it(host: Host) -> None:
    before = containers(host)
    # Another one each time: the host keeps it.
    password = f"it's a \"new\\ password; #1 $x {secrets.token_hex(4)}"
    result = play(vault_webapp_db_password=password)
    assert result.status == 0, result.output
    after = containers(host)
    assert after["apache"] == before["apache"]
    assert after["flask-app"] != before["flask-app"]
    assert after["mysql"] != before["mysql"]
    assert '"database":"ok"' in readyz(host)
    assert password not in result.output


@pytest.mark.usefixtures("restored")
def test_a_release_that_is_not_healthy_gives_way_to_the_one_before(
    host: Host, sources: Path
) -> None:
    before = current(host)
    # Not the package, which the migration needs too.
    server = sources / "flask" / "serve.py"
    server.write_text('raise RuntimeError("broken on purpose")\n')
    result = play(webapp_source=str(sources))
    assert result.status != 0
    assert "webapp-flask-app-" in result.output
    assert "State: " in result.output
    assert "RuntimeError: broken on purpose" in result.output
    assert f"The release before, {before.rpartition('/')[2]}, serves on." in result.output
    assert current(host) == before
    assert '"database":"ok"' in readyz(host)


@pytest.mark.usefixtures("restored")
def test_a_changed_admin_password_is_the_accounts(host: Host) -> None:
    before = containers(host)
    password = f"new: admin {secrets.token_hex(4)}"
    result = play(vault_webapp_admin_password=password)
    assert result.status == 0, result.output
    after = containers(host)
    assert (after["apache"], after["mysql"]) == (before["apache"], before["mysql"])
    address = Lab(os.environ["LABSTACK_LAB"]).address
    # From here: a command line ends up in the host's journal.
    assert ask(f"http://{address}/api/users", "admin", password).status == 200
    again = play(vault_webapp_admin_password=password)
    assert "changed=0 " in again.output
    assert password not in result.output


@pytest.mark.usefixtures("restored")
def test_a_release_whose_migration_fails_leaves_the_one_before_serving(
    host: Host, sources: Path
) -> None:
    before = current(host)
    flask = containers(host)["flask-app"]
    versions = sources / "flask" / "webapp" / "migrations" / "versions"
    # MySQL does not take it back, so another one each time.
    column = f"half_{secrets.token_hex(4)}"
    (versions / "0099_broken.py").write_text(
        "from alembic import op\n"
        'revision = "0099"\n'
        'down_revision = "0004"\n\n\n'
        "def upgrade():\n"
        f'    op.execute("ALTER TABLE users ADD {column} INT")\n'
        '    op.execute("ALTER TABLE no_such_table ADD x INT")\n'
    )
    result = play(webapp_source=str(sources))
    assert result.status != 0
    assert "The migration failed" in result.output, result.output
    assert "no_such_table" in result.output, result.output
    assert f"The release before, {before.rpartition('/')[2]}, serves on." in result.output
    assert current(host) == before
    # Flask's container was not touched.
    assert containers(host)["flask-app"] == flask
    assert '"database":"ok"' in readyz(host)


@pytest.mark.usefixtures("restored")
def test_a_release_that_cannot_be_built_disturbs_nothing(host: Host, sources: Path) -> None:
    before = containers(host)
    with (sources / "flask" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("RUN exit 7\n")
    result = play(webapp_source=str(sources))
    assert result.status != 0
    assert "the images could not be built" in result.output
    assert containers(host) == before
    assert '"database":"ok"' in readyz(host)


@pytest.mark.usefixtures("restored")
def test_too_little_memory_is_told_and_the_settings_before_come_back(host: Host) -> None:
    """The release is the same one, so there is no other to go back to."""
    before = current(host)
    result = play(webapp_mysql_memory="32m", webapp_start_timeout=60)
    assert result.status != 0
    assert (
        "Likely cause: mysql was killed, most likely because it reached its memory limit (OOM)"
        in result.output
    )
    assert "webapp_mysql_memory: " in result.output
    assert "serves again with the settings that it had before" in result.output
    assert current(host) == before
    assert '"database":"ok"' in readyz(host)
    assert {service: health(host, service) for service in SERVICES} == dict.fromkeys(
        SERVICES, "healthy"
    )


def test_one_run_repairs_a_stopped_database(host: Host) -> None:
    before = containers(host)
    host.check_output("docker stop webapp-mysql-1")
    # Its checks come every 15 s, and two must fail.
    wait_until(lambda: health(host, "flask-app") == "unhealthy", 90)
    result = play()
    assert result.status == 0, result.output
    assert '"database":"ok"' in readyz(host)
    assert {service: health(host, service) for service in SERVICES} == dict.fromkeys(
        SERVICES, "healthy"
    )
    # Restarted, not made anew.
    assert containers(host) == before
    assert "changed=0 " in play().output
