"""AWS, as the verbs need it: the one place that knows boto3 and the plugins' own code."""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
import sys
from typing import TYPE_CHECKING

import boto3
import botocore.config
import botocore.exceptions
import botocore.session
import click

from cli.running import ROOT, STATE, environment

# Where the checkout stands as the collection labstack.stack.
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.labstack.stack.plugins.module_utils.aws_diagnosis import (
    REGIONS,
    explain,
)
from ansible_collections.labstack.stack.plugins.module_utils.ec2_lab import (
    DEFAULT_NAME,
    TAG,
    Account,
    AwsError,
    Instance,
    connection,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class UnreachableError(Exception):
    """AWS does not answer at all, so it is not known whether it takes the credentials."""


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Makes AWS's refusals messages of the command line."""
    try:
        yield
    except AwsError as error:
        raise click.ClickException(str(error)) from error


@_told()
def instance() -> Instance:
    """Returns the instance with the tag EC2_NAME. Raises ClickException with the remedy."""
    os.environ.update(environment("ec2"))
    name = os.environ.get("EC2_NAME") or DEFAULT_NAME
    account = Account()
    found = account.instance(name)
    if found is None:
        raise AwsError(
            f"No instance in {account.region} carries the tag {TAG}={name}.\n"
            "-> ./lab ec2 up    # launches one"
        )
    return found


@_told()
def login() -> list[str]:
    """Returns ssh's arguments for the instance. Raises ClickException where it has no address."""
    one = instance()
    if not one.address:
        raise AwsError(f"The instance {one.id} is {one.state}.\n-> ./lab ec2 up")
    way = connection(one, str(STATE / "ec2_known_hosts"))
    arguments = shlex.split(way["ansible_ssh_common_args"])
    arguments += ["-o", "StrictHostKeyChecking=accept-new"]
    if "ansible_ssh_private_key_file" in way:
        arguments += ["-i", way["ansible_ssh_private_key_file"]]
    return [*arguments, "-l", way["ansible_user"], way["ansible_host"]]


@_told()
def check_region(region: str) -> None:
    """Refuses a region that AWS does not have. Raises ClickException with the nearest name."""
    session = botocore.session.get_session()
    known = [
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("ec2", partition_name=partition)
    ]
    if region not in known:
        usual = ("us-east-1", "us-west-2")
        near = next(
            (
                hit
                for names in (usual, known)
                for hit in difflib.get_close_matches(region, names, 1)
            ),
            usual[0],
        )
        raise AwsError(
            f"AWS has no region {region!r}; a Learner Lab has {REGIONS}\n"
            f"-> ./lab ec2 credentials {near}"
        )


@_told()
def who(values: Mapping[str, str], region: str) -> str:
    """Asks AWS whether credentials work; returns whose they are.

    STS says whose they are, and still does when a Learner Lab's session has ended; so EC2 is asked,
    too.

    Args:
        values: the profile's values, by their names in a credentials file.
        region: where they are to work.

    Raises:
        ClickException: AWS refuses them; the message says why and what to do.
        UnreachableError: nobody answered.
    """
    session = boto3.session.Session(**values, region_name=region)
    patience = botocore.config.Config(connect_timeout=5, retries={"total_max_attempts": 2})
    try:
        identity = session.client("sts", config=patience).get_caller_identity()
        session.client("ec2", config=patience).describe_instances(MaxResults=5)
    except (
        botocore.exceptions.EndpointConnectionError,
        botocore.exceptions.HTTPClientError,
    ) as error:
        raise UnreachableError(str(error)) from error
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise AwsError(explain(str(error))) from error
    return f"account {identity['Account']}, {identity['Arn'].rpartition(':')[2]}"
