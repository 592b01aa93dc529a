"""The built collection in somebody else's playbook: installed in an empty folder, roles alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ask import ask, wait_until
from tests.lab import ROOT, Lab

# Where the real upstreams are out of reach, the testbed's mirror; with them the file is not there.
UPSTREAMS = ROOT / "inventory" / "lab" / "group_vars" / "lab" / "upstreams.yml"
THREE_LINES = """\
- hosts: all
  become: true
  roles: [labstack.stack.node_exporter, labstack.stack.prometheus]
"""
MORE_ROLES = """\
- hosts: all
  become: true
  roles:
    - labstack.stack.docker
    - labstack.stack.blackbox_exporter
    - labstack.stack.alertmanager
    - {role: labstack.stack.grafana, grafana_admin_password: chosen-elsewhere}
"""


class Elsewhere:
    """A folder that has the collection installed, a playbook and an inventory of one host."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        """Build the tarball and install it, as a user does."""
        self.folder, self.lab = folder, lab
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")
        } | {"ANSIBLE_COLLECTIONS_PATH": str(folder / "collections")}
        self._galaxy("build", str(ROOT), "--output-path", str(folder))
        (tarball,) = folder.glob("labstack-stack-*.tar.gz")
        self._galaxy(
            "install",
            str(tarball),
            "-p",
            str(folder / "collections"),
            "--no-deps",
            "--offline",
        )
        key, known = ROOT / ".lab" / "id_ed25519", ROOT / ".lab" / "known_hosts"
        (folder / "hosts").write_text(
            f"a_host ansible_host={lab.address} ansible_user=ubuntu "
            f"ansible_ssh_private_key_file={key} "
            f"ansible_ssh_common_args='-o UserKnownHostsFile={known}'\n"
        )

    def run(self, *command: str) -> str:
        """Run a command in the folder; return its output."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def _galaxy(self, *arguments: str) -> None:
        self.run("ansible-galaxy", "collection", *arguments)

    def play(self, playbook: str) -> str:
        """Run a playbook of this text; return its output."""
        (self.folder / "playbook.yml").write_text(playbook)
        mirror = ["-e", f"@{UPSTREAMS}"] if UPSTREAMS.exists() else []
        return self.run("ansible-playbook", "-i", "hosts", "playbook.yml", *mirror)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    # LABSTACK_LAB: another name, so that two checkouts do not share a host.
    lab = Lab(f"{os.environ.get('LABSTACK_LAB', '')}elsewhere")
    lab.down()
    lab.up()
    yield Elsewhere(tmp_path_factory.mktemp("elsewhere"), lab)
    lab.down()


def test_only_plugins_roles_playbooks_and_the_pins_travel(elsewhere: Elsewhere) -> None:
    installed = elsewhere.folder / "collections" / "ansible_collections" / "labstack" / "stack"
    travelled = {path.name for path in installed.iterdir()}
    assert not {"app", "inventory", "testbed", "tests", "site.yml"} & travelled
    assert sorted(path.name for path in (installed / "group_vars").rglob("*.yml")) == [
        "versions.yml"
    ]


def test_a_playbook_of_three_lines_brings_prometheus_and_what_it_scrapes(
    elsewhere: Elsewhere,
) -> None:
    elsewhere.play(THREE_LINES)
    up = f"http://{elsewhere.lab.address}:9090/api/v1/query?query=up"

    def jobs() -> set[tuple[str, str]]:
        found = ask(up).json()["data"]["result"]
        return {(series["metric"]["job"], series["value"][1]) for series in found}

    wait_until(lambda: jobs() == {("prometheus", "1"), ("node", "1")}, 60)
    assert "changed=0" in elsewhere.play(THREE_LINES)


def test_the_other_roles_do_with_their_own_defaults(elsewhere: Elsewhere) -> None:
    elsewhere.play(MORE_ROLES)
    answer = ask(f"http://{elsewhere.lab.address}:3000/api/user", "admin", "chosen-elsewhere")
    assert answer.status == 200, answer.body
    assert "changed=0" in elsewhere.play(MORE_ROLES)
