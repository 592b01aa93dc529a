"""The stack's EC2 instance: how it is found, and how it is reached. For modules and plugins."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .aws_diagnosis import MISSING_REGION, MISSING_SESSION_TOKEN, NO_CREDENTIALS, explain

try:
    import boto3
    import botocore.config
    import botocore.exceptions
except ImportError:  # said in client()
    boto3 = None

# The tag's key; its value is the instance's name, "labstack" where nobody says otherwise.
TAG = "labstack"
DEFAULT_NAME = "labstack"
# Where a Learner Lab's key, labsuser.pem, usually is. Its key pair is called vockey.
LEARNER_LAB_KEY_PAIR = "vockey"
LEARNER_LAB_KEYS = ("~/labsuser.pem", "~/.ssh/labsuser.pem", "~/Downloads/labsuser.pem")
ALIVE = ("pending", "running", "stopping", "stopped")


class AwsError(Exception):
    """AWS cannot be asked, or refuses; the message says what to do."""


@dataclass(frozen=True)
class Instance:
    """What is needed of an instance.

    Attributes:
        id: e.g. "i-0123456789abcdef0".
        state: pending, running, stopping, stopped.
        address: the public IPv4 address; empty while it has none.
        key_name: the key pair it was launched with; empty without one.
        type: e.g. "t2.micro".
        started: when it was started last, ISO 8601.
        region: e.g. "us-east-1".
    """

    id: str
    state: str
    address: str
    key_name: str
    type: str
    started: str
    region: str

    def as_dict(self) -> dict[str, str]:
        """Returns the attributes, for a module's result."""
        return asdict(self)


class Account:
    """AWS's EC2 service in one region, as the credentials of this computer see it."""

    def __init__(self, region: str = "", endpoint_url: str = "") -> None:
        """Looks for region and credentials as boto3 does, and for AWS_REGION.

        Raises:
            AwsError: a part is missing.
        """
        if boto3 is None:
            raise AwsError(
                "The Python module boto3 is missing beside Ansible.\n"
                "-> ./lab run brings it; with your own Ansible: "
                "pip install --require-hashes -r requirements/run.txt"
            )
        try:
            session = boto3.session.Session()
            self.region: str = region or os.environ.get("AWS_REGION", "") or session.region_name
            credentials = session.get_credentials()
            frozen = credentials.get_frozen_credentials() if credentials else None
        except botocore.exceptions.BotoCoreError as error:
            raise AwsError(explain(str(error))) from error
        if frozen is None:
            raise AwsError(NO_CREDENTIALS.text())
        # Keys of AWS STS begin with ASIA: "Unique identifiers" in the IAM user guide.
        if frozen.access_key.startswith("ASIA") and not frozen.token:
            raise AwsError(MISSING_SESSION_TOKEN.text())
        if not self.region:
            raise AwsError(MISSING_REGION.text())
        self._session = session
        self._endpoint = endpoint_url or None
        self._client = self._connect(self.region)

    def _connect(self, region: str) -> Any:
        settings = botocore.config.Config(
            connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3}
        )
        try:
            return self._session.client(
                "ec2", region_name=region, endpoint_url=self._endpoint, config=settings
            )
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise AwsError(explain(str(error))) from error

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Calls an operation by boto3's name. Raises AwsError with the remedy."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise AwsError(explain(str(error))) from error
        return answer

    def instances(self, name: str) -> list[Instance]:
        """Returns the instances with the tag that are not terminated."""
        answer = self.ask(
            "describe_instances",
            Filters=[
                {"Name": f"tag:{TAG}", "Values": [name]},
                {"Name": "instance-state-name", "Values": list(ALIVE)},
            ],
        )
        return [
            Instance(
                id=item["InstanceId"],
                state=item["State"]["Name"],
                address=item.get("PublicIpAddress") or "",
                key_name=item.get("KeyName") or "",
                type=item["InstanceType"],
                started=item["LaunchTime"].isoformat(),
                region=self.region,
            )
            for reservation in answer["Reservations"]
            for item in reservation["Instances"]
        ]

    def instance(self, name: str) -> Instance | None:
        """Returns the instance with the tag; None without one. Raises AwsError for several."""
        found = self.instances(name)
        if len(found) > 1:
            raise AwsError(
                f"{len(found)} instances in {self.region} carry the tag {TAG}={name}: "
                f"{', '.join(sorted(one.id for one in found))}.\n"
                "-> console: EC2 > Instances, terminate those that are not wanted, or change "
                "their tag"
            )
        return found[0] if found else None

    def key_pairs(self) -> list[str]:
        """Returns the names of the region's key pairs."""
        return [pair["KeyName"] for pair in self.ask("describe_key_pairs")["KeyPairs"]]

    def regions_with_key(self, key_name: str, regions: list[str]) -> list[str]:
        """Returns which of the regions have the key pair; those that do not answer have not."""
        found = []
        for region in regions:
            try:
                client = self._connect(region)
                client.describe_key_pairs(KeyNames=[key_name])
            except (
                AwsError,
                botocore.exceptions.BotoCoreError,
                botocore.exceptions.ClientError,
            ):
                continue
            found.append(region)
        return found


def private_key(key_pair: str) -> str:
    """Returns the private key's file for a key pair: EC2_KEY, or where a Learner Lab's lies.

    Empty: ssh's own keys and the agent.
    """
    given = os.environ.get("EC2_KEY", "")
    if given or key_pair != LEARNER_LAB_KEY_PAIR:
        return given
    usual = [Path(name).expanduser() for name in LEARNER_LAB_KEYS]
    return next((str(path) for path in usual if path.is_file()), "")


def connection(instance: Instance, known_hosts: str) -> dict[str, str]:
    """Returns the variables with which Ansible reaches the instance.

    The host key is filed under the instance's id, so that it is known on every address, and no
    other machine is taken for it.
    """
    variables = {
        "ansible_host": instance.address,
        "ansible_user": os.environ.get("EC2_USER") or "ubuntu",
        "ansible_ssh_common_args": (
            f'-o HostKeyAlias={instance.id} -o UserKnownHostsFile="{known_hosts}"'
        ),
    }
    key = private_key(instance.key_name)
    if key:
        variables["ansible_ssh_private_key_file"] = key
    return variables
