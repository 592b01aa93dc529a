"""A stand-in for AWS: moto's server on the loopback, with Ubuntu's images."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import ROOT, Run

OWNER = "099720109477"
IMAGES = {
    "ami-0001": "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260901",
    "ami-0002": "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261101",
    "ami-0003": "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101",
    "ami-0004": "ubuntu/images/hvm-ssd-gp3/ubuntu-resolute-26.04-amd64-server-20261101",
    # None of these may be taken.
    "ami-0005": "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261101.1",
    "ami-0006": "ubuntu/images-testing/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261120",
    "ami-0007": "ubuntu-minimal/images/hvm-ssd/ubuntu-jammy-22.04-amd64-minimal-20261120",
}
NEWEST = {"22.04": "ami-0002", "24.04": "ami-0003", "26.04": "ami-0004"}


def write_images(path: Path) -> None:
    """Writes moto's list of images, in the form of its amis.json."""
    images = [
        {
            "ami_id": identity,
            "state": "available",
            "public": True,
            "owner_id": OWNER,
            "image_location": f"{OWNER}/{name}",
            "root_device_type": "ebs",
            "root_device_name": "/dev/sda1",
            "description": "Canonical, Ubuntu, amd64",
            "image_type": "machine",
            "architecture": "x86_64",
            "name": name,
            "virtualization_type": "hvm",
            "hypervisor": "xen",
            "creation_date": f"{name[-8:-4]}-{name[-4:-2]}-{name[-2:]}T00:00:00.000Z"
            if name[-8:].isdigit()
            else "2026-12-01T00:00:00.000Z",
        }
        for identity, name in IMAGES.items()
    ]
    path.write_text(json.dumps(images))


@dataclass
class Cloud:
    """AWS as a student's computer sees it.

    Attributes:
        url: address of the stand-in.
        home: home directory of the student.
        own_address_url: a server that says from which address it is asked.
        environment: what a command is run with.
    """

    url: str
    home: Path
    own_address_url: str
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sets the environment: no trace of the real one's credentials."""
        self.environment = {
            name: value
            for name, value in os.environ.items()
            # Molecule sets the last one, and colours stand between a line's beginning and its word.
            if not name.startswith(("AWS_", "EC2_", "ANSIBLE_FORCE_COLOR"))
        }
        self.environment |= {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "AKIATESTING",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "PYTHONUNBUFFERED": "1",
        }
        # Tests look for tasks.
        self.environment["ANSIBLE_STDOUT_CALLBACK"] = "ansible.builtin.default"
        self.environment.pop("SSH_AUTH_SOCK", None)

    def run(self, *command: str, given: str = "", **environment: str) -> Run:
        """Runs a command in the repository with the student's environment.

        Args:
            command: program and arguments.
            given: what is typed.
            environment: variables that are set on top; an empty one is taken away.
        """
        merged = {k: v for k, v in (self.environment | environment).items() if v}
        began = time.monotonic()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=merged,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        return Run(done.returncode, done.stdout, time.monotonic() - began)

    def answer(self, typed: str, *command: str) -> Run:
        """Runs a command on a terminal, where a question is answered with `typed`."""
        ours, theirs = pty.openpty()
        began = time.monotonic()
        try:
            os.write(ours, f"{typed}\n".encode())
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
                check=False,
            )
        finally:
            os.close(ours)
            os.close(theirs)
        return Run(done.returncode, done.stdout, time.monotonic() - began)

    def play(self, playbook: str, *arguments: str, **environment: str) -> Run:
        """Runs a playbook; the servers outside are stand-ins."""
        return self.run(
            "ansible-playbook",
            playbook,
            "-e",
            f"stack_checkip_url={self.own_address_url}",
            *arguments,
            **environment,
        )

    def client(self, region: str = "us-east-1") -> Any:
        """A client of EC2 for the test's own looking and meddling."""
        import boto3  # noqa: PLC0415 - the environment of the session decides where it looks

        return boto3.client(
            "ec2",
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="AKIATESTING",
            aws_secret_access_key="testing",
        )

    def instances(self, *states: str) -> list[dict[str, Any]]:
        """The instances of the region in one of the states; all but terminated ones by default."""
        wanted = states or ("pending", "running", "stopping", "stopped")
        answer = self.client().describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": list(wanted)}]
        )
        return [one for found in answer["Reservations"] for one in found["Instances"]]

    def instance(self) -> dict[str, Any]:
        """The only instance that is not terminated."""
        (one,) = self.instances()
        return one


def give_addresses(*addresses: str) -> None:
    """Says which public addresses the next starts of instances get; the last one stays."""
    from moto.ec2.models import elastic_network_interfaces  # noqa: PLC0415 - see conftest.py

    waiting = list(addresses)

    def following() -> str:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    # By name: moto does not count its import among what it exports.
    vars(elastic_network_interfaces)["random_public_ip"] = following


def give_vockey(cloud: Cloud) -> None:
    """Makes the account a Learner Lab's: it has the key pair vockey."""
    public = (ROOT / ".lab" / "id_ed25519.pub").read_bytes()
    cloud.client().import_key_pair(KeyName="vockey", PublicKeyMaterial=public)
