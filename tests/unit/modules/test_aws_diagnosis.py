"""What AWS and botocore really say, and what is made of it."""

from __future__ import annotations

import pytest
from ansible_collections.labstack.stack.plugins.module_utils.aws_diagnosis import diagnose, explain

CALL = "An error occurred ({0}) when calling the {1} operation: {2}"
# Texts of the services: EC2 and STS API references, botocore.exceptions, and reports of users.
RECORDED = [
    (
        "expired_token",
        CALL.format(
            "ExpiredToken",
            "GetCallerIdentity",
            "The security token included in the request is expired",
        ),
    ),
    ("expired_token", CALL.format("RequestExpired", "DescribeInstances", "Request has expired.")),
    (
        "session_ended",
        CALL.format(
            "UnauthorizedOperation",
            "DescribeInstances",
            "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:"
            "assumed-role/voclabs/user1234567=student@example.edu is not authorized to perform: "
            "ec2:DescribeInstances with an explicit deny in an identity-based policy: "
            "arn:aws:iam::123456789012:policy/voc-cancel-cred",
        ),
    ),
    ("no_credentials", "Unable to locate credentials"),
    ("no_credentials", "Failed to describe instances: Unable to locate credentials"),
    (
        "partial_credentials",
        "Partial credentials found in shared-credentials-file, missing: aws_secret_access_key",
    ),
    ("no_profile", "The config profile (lab) could not be found"),
    ("missing_region", "You must specify a region."),
    (
        "invalid_credentials",
        CALL.format(
            "AuthFailure",
            "DescribeInstances",
            "AWS was not able to validate the provided access credentials",
        ),
    ),
    (
        "invalid_credentials",
        CALL.format(
            "InvalidClientTokenId",
            "GetCallerIdentity",
            "The security token included in the request is invalid.",
        ),
    ),
    (
        "wrong_secret",
        CALL.format(
            "SignatureDoesNotMatch",
            "GetCallerIdentity",
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            "details.",
        ),
    ),
    (
        "clock_skew",
        CALL.format(
            "SignatureDoesNotMatch",
            "GetCallerIdentity",
            "Signature expired: 20261124T010203Z is now earlier than 20261124T030405Z "
            "(20261124T031905Z - 15 min.)",
        ),
    ),
    (
        "clock_skew",
        CALL.format(
            "SignatureDoesNotMatch",
            "GetCallerIdentity",
            "Signature not yet current: 20261124T050607Z is still later than 20261124T031704Z "
            "(20261124T030204Z + 15 min.)",
        ),
    ),
    (
        "wrong_region_for_key",
        CALL.format(
            "InvalidKeyPair.NotFound", "RunInstances", "The key pair 'vockey' does not exist"
        ),
    ),
    (
        "no_permission",
        CALL.format(
            "UnauthorizedOperation",
            "RunInstances",
            "You are not authorized to perform this operation. Encoded authorization failure "
            "message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCmabcdefghijklmnabcdefghijklmnabcdefghijklmn",
        ),
    ),
    (
        "no_permission",
        CALL.format(
            "AccessDeniedException",
            "DescribeInstances",
            "User: arn:aws:iam::123456789012:user/me is not authorized to perform: "
            "ec2:DescribeInstances",
        ),
    ),
    (
        "region_forbidden",
        CALL.format(
            "UnauthorizedOperation",
            "RunInstances",
            "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:"
            "assumed-role/voclabs/user is not authorized to perform: ec2:RunInstances on resource: "
            "arn:aws:ec2:eu-west-1:123456789012:instance/* with an explicit deny in a service "
            "control policy",
        ),
    ),
    (
        "quota",
        "Instance creation failed => VcpuLimitExceeded: You have requested more vCPU capacity than "
        "your current vCPU limit of 1 allows for the instance bucket that the specified instance "
        "type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an "
        "adjustment to this limit.",
    ),
    (
        "capacity",
        CALL.format(
            "InsufficientInstanceCapacity",
            "RunInstances",
            "We currently do not have sufficient t2.micro capacity in the Availability Zone you "
            "requested (us-east-1e).",
        ),
    ),
    (
        "capacity",
        CALL.format(
            "Unsupported",
            "RunInstances",
            "Your requested instance type (t2.micro) is not supported in your requested "
            "Availability Zone (us-east-1e).",
        ),
    ),
    (
        "no_default_vpc",
        CALL.format("VPCIdNotSpecified", "CreateSecurityGroup", "No default VPC for this user"),
    ),
    (
        "account",
        CALL.format(
            "OptInRequired",
            "DescribeInstances",
            "You are not subscribed to this service. Please go to http://aws.amazon.com to "
            "subscribe.",
        ),
    ),
    (
        "wrong_region",
        'Could not connect to the endpoint URL: "https://ec2.us-est-1.amazonaws.com/"',
    ),
    ("wrong_region", "Provided region_name 'us east 1' doesn't match a supported format."),
    ("no_network", 'Could not connect to the endpoint URL: "http://127.0.0.1:9/"'),
    (
        "no_network",
        'Connect timeout on endpoint URL: "http://127.0.0.1:9/" (ConnectTimeoutError)',
    ),
    ("throttled", CALL.format("RequestLimitExceeded", "RunInstances", "Request limit exceeded.")),
]


@pytest.mark.parametrize(("kind", "said"), RECORDED, ids=[f"{k}-{s[:40]}" for k, s in RECORDED])
def test_each_refusal_is_recognised(kind: str, said: str) -> None:
    found = diagnose(said)
    assert found is not None
    assert found.kind == kind
    # One sentence, nothing left of a placeholder, and something to do.
    assert "{" not in found.what
    assert "\n" not in found.what
    assert found.fix


def test_a_message_has_meaning_remedy_and_the_services_words() -> None:
    said = RECORDED[0][1]
    text = explain(said)
    assert text.startswith("The AWS credentials have expired")
    assert "-> ./lab ec2 credentials" in text
    assert text.endswith(f"AWS says: {said}")


def test_the_profile_the_key_and_the_action_are_named() -> None:
    assert "does not exist: lab" in explain("The config profile (lab) could not be found")
    assert "The key pair vockey does not" in explain("The key pair 'vockey' does not exist")
    assert "ec2:DescribeInstances" in explain(RECORDED[15][1]).splitlines()[0]
    assert "RunInstances" in explain(RECORDED[14][1]).splitlines()[0]


def test_an_encoded_message_is_cut() -> None:
    assert "abcdefghijklmnabcdefghijklmnabcdefghijklmn" not in explain(RECORDED[14][1])


def test_what_is_unknown_keeps_its_words() -> None:
    said = CALL.format("InvalidParameter", "RunInstances", "The parameter Foo is not recognized")
    assert diagnose(said) is None
    assert explain(f" {said} ") == f"AWS refused: {said}"


def test_what_is_not_of_aws_stays_as_it_is() -> None:
    assert explain("There is no image of Ubuntu 22.04") == "There is no image of Ubuntu 22.04"
