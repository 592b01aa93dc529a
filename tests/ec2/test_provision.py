"""playbooks/provision.yml against a stand-in for AWS: launch, find, stop, start, terminate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ec2.cloud import NEWEST, give_addresses
from tests.ec2.conftest import OWN_ADDRESS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec2.cloud import Cloud
    from tests.lab import Lab

PROVISION = "playbooks/provision.yml"


def open_ports(cloud: Cloud) -> dict[str, set[str]]:
    """Ports of the stack's security group, by port: the networks that are let in."""
    (group,) = cloud.client().describe_security_groups(GroupNames=["labstack"])["SecurityGroups"]
    found: dict[str, set[str]] = {}
    for rule in group["IpPermissions"]:
        assert rule["FromPort"] == rule["ToPort"]
        networks = {network["CidrIp"] for network in rule["IpRanges"]}
        found.setdefault(str(rule["FromPort"]), set()).update(networks)
    return found


def tags(item: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item["Tags"]}


@pytest.mark.usefixtures("learner_lab")
def test_a_learner_lab_gets_its_instance(cloud: Cloud, machine: Lab) -> None:
    run = cloud.play(PROVISION)
    assert run.status == 0, run.output

    one = cloud.instance()
    assert one["State"]["Name"] == "running"
    assert one["ImageId"] == NEWEST["22.04"]
    assert one["InstanceType"] == "t2.micro"
    assert one["KeyName"] == "vockey"
    assert tags(one)["labstack"] == "labstack"
    assert tags(one)["Name"] == "labstack"
    assert one["MetadataOptions"]["HttpTokens"] == "required"
    assert one["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    # A host that powers itself off (ec2_instance_stop_after) is stopped, with its data.
    off = cloud.client().describe_instance_attribute(
        InstanceId=one["InstanceId"], Attribute="instanceInitiatedShutdownBehavior"
    )
    assert off["InstanceInitiatedShutdownBehavior"]["Value"] == "stop"
    (disk,) = cloud.client().describe_volumes()["Volumes"]
    assert (disk["Size"], disk["VolumeType"]) == (16, "gp3")

    mine = {f"{OWN_ADDRESS}/32"}
    everybody = {"0.0.0.0/0"}
    assert open_ports(cloud) == {
        "80": everybody,
        "443": everybody,
        **dict.fromkeys(("22", "3000", "5000", "9090", "9100"), mine),
    }
    assert [group["GroupName"] for group in one["SecurityGroups"]] == ["labstack"]

    # What to type next, and where.
    assert machine.address in run.output
    assert "-i inventory/aws_ec2.yml site.yml" in run.output

    again = cloud.play(PROVISION)
    assert again.status == 0, again.output
    assert again.output.count("changed=0") == 2, again.output
    assert "changed=1" not in again.output
    assert cloud.instance()["InstanceId"] == one["InstanceId"]


@pytest.mark.usefixtures("own_key")
def test_an_account_without_vockey_gets_the_own_key(
    cloud: Cloud,
) -> None:
    run = cloud.play(PROVISION, "-e", "ec2_instance_ubuntu=24.04")
    assert run.status == 0, run.output
    one = cloud.instance()
    assert one["KeyName"] == "labstack"
    assert one["ImageId"] == NEWEST["24.04"]
    assert [pair["KeyName"] for pair in cloud.client().describe_key_pairs()["KeyPairs"]] == [
        "labstack"
    ]


@pytest.mark.usefixtures("own_key")
def test_check_mode_tells_and_does_nothing(
    cloud: Cloud,
) -> None:
    run = cloud.play(PROVISION, "--check")
    assert run.status == 0, run.output
    assert "changed=3" in run.output, run.output
    assert "In check mode nothing was launched" in run.output
    other = cloud.play(PROVISION, "--check", "-e", "ec2_instance_type=m7i.large")
    assert other.status == 0, other.output
    assert "on-demand/ for m7i.large" in " ".join(other.output.split())
    assert cloud.instances() == []
    groups = cloud.client().describe_security_groups()["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]
    assert cloud.client().describe_key_pairs()["KeyPairs"] == []


@pytest.mark.usefixtures("learner_lab", "machine")
def test_a_stopped_instance_is_started_and_nothing_else(
    cloud: Cloud,
) -> None:
    assert cloud.play(PROVISION).status == 0
    identity = cloud.instance()["InstanceId"]

    run = cloud.play("playbooks/ec2-stop.yml", "-e", "ec2_confirm=yes")
    assert run.status == 0, run.output
    assert cloud.instance()["State"]["Name"] == "stopped"

    told = cloud.play(PROVISION, "--check")
    assert told.status == 0, told.output
    assert "changed=1 " in told.output, told.output
    assert f"A run would start {identity}, a t2.micro" in " ".join(told.output.split())
    assert cloud.instance()["State"]["Name"] == "stopped"

    run = cloud.play(PROVISION)
    assert run.status == 0, run.output
    assert "changed=1 " in run.output, run.output
    one = cloud.instance()
    assert (one["InstanceId"], one["State"]["Name"]) == (identity, "running")


@pytest.mark.usefixtures("learner_lab")
def test_the_administrators_networks_follow(
    cloud: Cloud,
) -> None:
    assert cloud.play(PROVISION).status == 0
    networks = '{"stack_admin_cidrs": ["198.51.100.0/24", "203.0.113.9/32"]}'
    run = cloud.play(PROVISION, "-e", networks)
    assert run.status == 0, run.output
    assert open_ports(cloud)["22"] == {"198.51.100.0/24", "203.0.113.9/32"}
    assert open_ports(cloud)["80"] == {"0.0.0.0/0"}


@pytest.mark.usefixtures("learner_lab")
def test_the_own_address_cannot_be_found(
    cloud: Cloud,
) -> None:
    run = cloud.play(PROVISION, "-e", "stack_checkip_url=http://127.0.0.1:9/")
    assert run.status != 0
    assert "stack_admin_cidrs" in run.output
    assert cloud.instances() == []


def test_vockey_without_its_private_key(cloud: Cloud, learner_lab: Path) -> None:
    learner_lab.unlink()
    run = cloud.play(PROVISION)
    assert run.status != 0
    assert "labsuser.pem, is not on this computer" in run.output
    assert cloud.instances() == []


@pytest.mark.usefixtures("learner_lab")
def test_a_key_pair_of_another_region(
    cloud: Cloud,
) -> None:
    run = cloud.play(PROVISION, "-e", "ec2_instance_key_name=vockey", AWS_REGION="us-west-2")
    assert run.status != 0
    assert "AWS_REGION=us-east-1 before the command: it is there" in run.output


@pytest.mark.usefixtures("learner_lab")
def test_two_instances_with_the_tag(
    cloud: Cloud,
) -> None:
    assert cloud.play(PROVISION).status == 0
    one = cloud.instance()
    specification = {
        "ResourceType": "instance",
        "Tags": [{"Key": "labstack", "Value": "labstack"}],
    }
    cloud.client().run_instances(
        ImageId=one["ImageId"], MinCount=1, MaxCount=1, TagSpecifications=[specification]
    )
    run = cloud.play(PROVISION)
    assert run.status != 0
    assert one["InstanceId"] in run.output
    assert "2 instances in us-east-1 carry the tag labstack=labstack" in run.output


@pytest.mark.parametrize("key", ["learner_lab", "own_key"])
def test_terminate_leaves_nothing(cloud: Cloud, key: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(key)
    before = [pair["KeyName"] for pair in cloud.client().describe_key_pairs()["KeyPairs"]]
    assert cloud.play(PROVISION).status == 0

    refused = cloud.play("playbooks/ec2-terminate.yml")
    assert refused.status != 0
    assert "ec2_confirm=yes" in refused.output
    assert len(cloud.instances()) == 1

    run = cloud.play("playbooks/ec2-terminate.yml", "-e", "ec2_confirm=yes")
    assert run.status == 0, run.output
    assert cloud.instances() == []
    groups = cloud.client().describe_security_groups()["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]
    pairs = [pair["KeyName"] for pair in cloud.client().describe_key_pairs()["KeyPairs"]]
    assert pairs == before

    again = cloud.play("playbooks/ec2-terminate.yml", "-e", "ec2_confirm=yes")
    assert again.status == 0, again.output
    assert "changed=0" in again.output


@pytest.mark.usefixtures("learner_lab")
def test_a_new_address(cloud: Cloud, machine: Lab) -> None:
    """moto gives another address after a stop and a start, as AWS does; the tests rely on it."""
    give_addresses("198.51.100.1", machine.address)
    client = cloud.client()
    client.run_instances(ImageId=NEWEST["22.04"], MinCount=1, MaxCount=1)
    one = cloud.instance()
    assert one["PublicIpAddress"] == "198.51.100.1"
    client.stop_instances(InstanceIds=[one["InstanceId"]])
    assert "PublicIpAddress" not in cloud.instance()
    client.start_instances(InstanceIds=[one["InstanceId"]])
    assert cloud.instance()["PublicIpAddress"] == machine.address
