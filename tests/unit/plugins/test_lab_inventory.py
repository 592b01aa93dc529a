"""The lab's inventory: which containers are hosts, and what is told where there is no engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import docker
import pytest
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader

from tests.unit.conftest import ROOT

FILE = ROOT / "inventory" / "lab" / "docker.yml"


def container(name: str, *addresses: str) -> SimpleNamespace:
    networks = {f"n{i}": {"IPAddress": a} for i, a in enumerate(addresses)}
    return SimpleNamespace(name=name, attrs={"NetworkSettings": {"Networks": networks}})


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """Docker's client, with one host."""
    fake = mock.Mock()
    fake.containers.list.return_value = [container("labstack-lab-ec2", "172.17.0.3")]
    monkeypatch.setattr(docker, "from_env", lambda: fake)
    return fake


def parse(path: Path = FILE) -> dict[str, dict[str, Any]]:
    """Return the variables of the group's hosts."""
    inventory = InventoryData()
    plugin = inventory_loader.get("labstack.stack.lab")
    assert plugin.verify_file(str(path))
    plugin.parse(inventory, DataLoader(), str(path))
    return {h.name: h.vars for h in inventory.groups["lab"].get_hosts()}


def test_a_container_of_the_lab_is_a_host(client: mock.Mock) -> None:
    host = parse()["labstack-lab-ec2"]
    assert (host["ansible_host"], host["ansible_port"]) == ("172.17.0.3", 22)
    client.close.assert_called_once_with()


def test_docker_picks_them_and_one_that_goes_meanwhile_is_no_error(
    client: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABSTACK_LAB", "molecule-webapp")
    parse()
    client.containers.list.assert_called_once_with(
        filters={"label": "labstack.lab=molecule-webapp"}, ignore_removed=True
    )


@pytest.mark.parametrize("addresses", [(), ("",)])
def test_one_without_an_address_is_none(client: mock.Mock, addresses: tuple[str, ...]) -> None:
    client.containers.list.return_value = [container("labstack-lab-ec2", *addresses)]
    assert parse() == {}


def test_without_an_engine_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> None:
        raise docker.errors.DockerException("Connection refused")

    monkeypatch.setattr(docker, "from_env", nobody)
    with pytest.raises(AnsibleParserError, match=r"(?s)Connection refused.*-> \./lab up"):
        parse()
