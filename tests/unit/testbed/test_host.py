"""A lab belongs to its checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import docker
import pytest

from testbed import host, mirror

if TYPE_CHECKING:
    from pathlib import Path


def container(checkout: str | None, lab: str = "lab") -> mock.Mock:
    labels = {"labstack.lab": lab}
    if checkout is not None:
        labels["labstack.checkout"] = checkout
    return mock.Mock(labels=labels, status="running")


def engine(*containers: mock.Mock) -> mock.Mock:
    client = mock.Mock()
    client.containers.get.return_value = containers[0]
    client.containers.list.return_value = list(containers)
    return client


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are up at once."""
    for step in ("_key", "_wait_for_boot", "_authorise", "_pin", "_write_ssh_config"):
        monkeypatch.setattr(host, step, mock.Mock())
    monkeypatch.setattr(host, "address", lambda _: "172.17.0.9")


def test_another_checkouts_lab_is_refused(tmp_path: Path) -> None:
    theirs = container(str(tmp_path))
    with pytest.raises(host.HostError, match=str(tmp_path)) as refused:
        host.up(engine(theirs), "lab", "ec2", "mirror")
    assert "LABSTACK_LAB=second ./lab up" in str(refused.value)
    host._authorise.assert_not_called()  # type: ignore[attr-defined]  # the fixture's stand-in
    with pytest.raises(host.HostError, match="belongs to the checkout"):
        host.down(engine(theirs), "lab")
    theirs.remove.assert_not_called()


@pytest.mark.parametrize("checkout", [None, str(mirror.ROOT), "/nowhere/any/more"])
def test_ones_own_is_taken_and_so_is_nobodys(checkout: str | None) -> None:
    mine = container(checkout)
    assert host.up(engine(mine), "lab", "ec2", "mirror") == "172.17.0.9"
    host.down(engine(mine), "lab")
    mine.remove.assert_called_once()


def test_down_of_all_leaves_the_other_checkouts(tmp_path: Path) -> None:
    mine, theirs = container(str(mirror.ROOT)), container(str(tmp_path), "other")
    unknown = container(None, "older")
    host.down(engine(mine, theirs, unknown))
    mine.remove.assert_called_once()
    theirs.remove.assert_not_called()
    unknown.remove.assert_not_called()


def test_where_we_may_not_look_somebody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.stat", mock.Mock(side_effect=PermissionError))
    assert not host.ours(container("/root/labstack"))


def test_a_new_host_carries_its_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    client = mock.Mock()
    client.containers.get.side_effect = docker.errors.NotFound("none")
    client.containers.create.return_value = container(str(mirror.ROOT))
    monkeypatch.setattr(host, "_image", lambda *_: "image")
    host.up(client, "lab", "ec2", "mirror")
    labels = client.containers.create.call_args.kwargs["labels"]
    assert labels["labstack.checkout"] == str(mirror.ROOT)
