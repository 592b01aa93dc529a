"""No request fails while the application is deployed, well or badly: counts, not times.

The bench `python -m tests.bench.releases` prints the same cases with their latency and memory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from tests import rollouts, steady
from tests.lab import Lab

# As many as a busy machine, which does other things, answers too.
RATE = 60


@pytest.fixture(scope="module")
def lab() -> Lab:
    """The scenario's host, for its playbooks."""
    scenario = os.environ.get("MOLECULE_SCENARIO_NAME", "webapp")
    return Lab(os.environ.get("LABSTACK_LAB", f"molecule-{scenario}"))


@pytest.fixture(scope="module")
def password(host: Host) -> str:
    return str(host.file("/etc/labstack/secrets/webapp_admin_password").content_string).strip()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, lab: Lab, host: Host) -> Iterator[Path]:
    """The application as it is deployed; afterwards the host has this repository's again."""
    folder = tmp_path_factory.mktemp("releases")
    yield rollouts.copy_of_app(folder / "app")
    shutil.rmtree(folder)
    host.check_output(rollouts.UNSEED)
    assert lab.play(playbook="playbooks/deploy.yml").status == 0


def identities(host: Host) -> dict[str, str]:
    """The container of each service."""
    return {
        service: str(host.check_output("docker inspect -f '{{.Id}}' webapp-%s-1", service))
        for service in ("apache", "flask-app", "mysql")
    }


@pytest.mark.parametrize("case", rollouts.CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_no_request_fails(
    case: rollouts.Case, lab: Lab, host: Host, password: str, base: Path
) -> None:
    before = identities(host)
    current = host.check_output("readlink /opt/webapp/current")
    arguments = rollouts.arguments(case, base, base.with_name("changed"))
    with steady.load(lab.address, password, RATE) as seen:
        run = lab.play(*arguments, playbook=case.playbook)
    assert (run.status != 0) == case.fails, run.output[-3000:]
    assert case.says in run.output
    print(f"\n{case.name}: {seen.requests} requests, again {dict(seen.reused_closed)}")
    assert seen.failed == 0, seen.problems
    after = identities(host)
    # Only what changed is made anew.
    assert (after["apache"], after["mysql"]) == (before["apache"], before["mysql"])
    flask_changes = case.name in ("good release", "rollback")
    assert (after["flask-app"] != before["flask-app"]) == flask_changes
    if case.fails:
        assert host.check_output("readlink /opt/webapp/current") == current
    assert len(host.check_output("docker ps -aq --filter name=flask-app").split()) == 1


def test_a_renewed_certificate_reaches_people_without_a_failed_request(
    lab: Lab, host: Host, password: str, base: Path
) -> None:
    source = ("-e", f'{{"webapp_source": "{base}"}}')
    # Whatever served last, so that nothing but the certificate is due.
    assert lab.play(*source, playbook="playbooks/deploy.yml").status == 0
    before = identities(host)
    host.check_output(rollouts.AGE_CERTIFICATE)
    with steady.load(lab.address, password, RATE) as seen:
        run = lab.play(*source, playbook="playbooks/deploy.yml")
    assert run.status == 0, run.output[-3000:]
    assert seen.failed == 0, seen.problems
    assert identities(host) == before
    shown = host.check_output(
        "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509"
    )
    assert shown.strip() in host.file("/etc/labstack/tls/cert.pem").content_string


def test_who_deployed_what_is_noted(lab: Lab) -> None:
    shown = lab.play(playbook="playbooks/releases.yml").output
    assert "served" in shown
    assert "failed" in shown
    assert "serves now:" in shown
