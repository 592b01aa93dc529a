"""What AWS's refusals mean, and what to type then.

The codes and texts are those of the services: the common errors of the EC2 and STS API references,
botocore's exceptions, and the policy `voc-cancel-cred` with which a Learner Lab ends a session.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PASTE = (
    "in the Learner Lab: Start Lab, AWS Details > AWS CLI > Show, copy the block, then type\n"
    "./lab ec2 credentials"
)
REGIONS = "us-east-1 and us-west-2"


@dataclass(frozen=True)
class Diagnosis:
    """One reason why AWS does not do what was asked.

    Attributes:
        kind: a name for it, e.g. "expired_token".
        what: one sentence.
        fix: what to do, one step a line.
    """

    kind: str
    what: str
    fix: str

    def text(self) -> str:
        """Returns both as a message."""
        return "\n".join([self.what, *(f"-> {line}" for line in self.fix.splitlines())])


NO_CREDENTIALS = Diagnosis(
    "no_credentials",
    "There are no AWS credentials on this computer.",
    f"{PASTE}\nanother account: AWS_PROFILE=name before the command, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY",
)
MISSING_SESSION_TOKEN = Diagnosis(
    "missing_session_token",
    "The AWS credentials have no session token: a key that begins with ASIA counts only together "
    "with its aws_session_token.",
    f"take all three lines of the block: {PASTE}",
)
MISSING_REGION = Diagnosis(
    "missing_region",
    "No AWS region is set.",
    f"AWS_REGION=us-east-1 before the command (a Learner Lab has {REGIONS} only)",
)

# The first match counts: special cases stand before general ones. `{0}` is the group.
_KNOWN: tuple[tuple[str, Diagnosis], ...] = (
    (
        r"voc-cancel-cred",
        Diagnosis(
            "session_ended",
            "The Learner Lab's session has ended (or its budget is used up): AWS now denies "
            "everything.",
            PASTE,
        ),
    ),
    (
        r"Signature (?:expired|not yet current)|RequestTimeTooSkewed|InvalidSignatureTime"
        r"|RequestInTheFuture",
        Diagnosis(
            "clock_skew",
            "This computer's clock is wrong: AWS refuses requests that are five minutes or more "
            "off its own time.",
            "timedatectl set-ntp true    # then: date -u\n"
            "WSL after a sleep: wsl --shutdown, and open it again",
        ),
    ),
    (
        # EC2 says RequestExpired for an old token and for a clock that is behind.
        r"RequestExpired",
        Diagnosis(
            "expired_token",
            "The AWS credentials have expired, or this computer's clock is behind.",
            f"date -u    # is it right? if not: timedatectl set-ntp true\n{PASTE}",
        ),
    ),
    (
        r"ExpiredToken|security token included in the request is expired|token has expired"
        r"|Token for .* does not exist|TokenRetrievalError",
        Diagnosis(
            "expired_token",
            "The AWS credentials have expired (a Learner Lab's last one session, 4 hours).",
            PASTE,
        ),
    ),
    (
        r"Partial credentials found in ([\w-]+), missing: ([\w, ]+)",
        Diagnosis("partial_credentials", "The AWS credentials ({0}) lack {1}.", PASTE),
    ),
    (r"Unable to locate credentials|NoCredentialsError", NO_CREDENTIALS),
    (
        r"config profile \(([^)]*)\) could not be found|ProfileNotFound",
        Diagnosis(
            "no_profile",
            "AWS_PROFILE names a profile that does not exist: {0}.",
            "grep '^\\[' ~/.aws/credentials ~/.aws/config    # those that do\n"
            "for a Learner Lab without a profile: unset AWS_PROFILE; ./lab ec2 credentials",
        ),
    ),
    (r"[Yy]ou must specify a region|NoRegionError|region .*required", MISSING_REGION),
    (
        r"SignatureDoesNotMatch|IncompleteSignature|InvalidSignature",
        Diagnosis(
            "wrong_secret",
            "The AWS secret key does not fit the access key: a part of the block is missing or is "
            "of another session.",
            PASTE,
        ),
    ),
    (
        r"InvalidClientTokenId|UnrecognizedClient|AuthFailure|InvalidAccessKeyId"
        r"|security token included in the request is invalid|MissingAuthenticationToken",
        Diagnosis(
            "invalid_credentials",
            "AWS does not know these credentials: they are of an older session, were pasted "
            "incompletely, or lack the session token.",
            PASTE,
        ),
    ),
    (
        r"key pair '?\"?([^'\" ]*)'?\"? does not exist|InvalidKeyPair\.NotFound",
        Diagnosis(
            "wrong_region_for_key",
            "The key pair {0} does not exist in this region.",
            "another region? AWS_REGION=us-west-2 before the command\n"
            "the key's name is in the console under EC2 > Key Pairs; give it with "
            "-e ec2_instance_key_name=NAME",
        ),
    ),
    (
        r"VcpuLimitExceeded|InstanceLimitExceeded|VolumeLimitExceeded|MaxSpotInstanceCount"
        r"|SecurityGroupLimitExceeded|VPCResourceNotSpecified|ResourceLimitExceeded",
        Diagnosis(
            "quota",
            "The account's quota is used up: other instances of this account or region take it.",
            "console: EC2 > Instances, terminate what is not needed\n"
            "more: console > Service Quotas > Amazon EC2 (not in a Learner Lab)",
        ),
    ),
    (
        r"InsufficientInstanceCapacity|requested instance type .* not supported|\(Unsupported\)",
        Diagnosis(
            "capacity",
            "AWS has no instance of this type here at the moment.",
            "-e ec2_instance_type=t3.micro    # or the same command again in some minutes",
        ),
    ),
    (
        r"VPCIdNotSpecified|No default VPC",
        Diagnosis(
            "no_default_vpc",
            "The region has no default VPC, in which the instance would be.",
            "console: VPC > Actions > Create default VPC; or AWS_REGION=us-west-2 before the "
            "command",
        ),
    ),
    (
        r"OptInRequired|AuthorizationError|Blocked|account is .*(?:verified|suspended)",
        Diagnosis(
            "account",
            "AWS has not activated this account, or has suspended it.",
            "sign in to the AWS console: it says what is missing",
        ),
    ),
    (
        r"not authorized to perform:? ?(\S+)?.*service control policy"
        r"|explicit deny in a service control policy",
        Diagnosis(
            "region_forbidden",
            "The organisation forbids this ({0}), most likely because of the region.",
            f"AWS_REGION=us-east-1 before the command (a Learner Lab has {REGIONS} only)",
        ),
    ),
    (
        r"(?:UnauthorizedOperation|AccessDenied)(?:.*not authorized to perform: ?([\w:*-]+))?"
        r"|not authorized to perform",
        Diagnosis(
            "no_permission",
            "These credentials may not do this: {0}.",
            f"a Learner Lab: region {REGIONS} only, sizes nano to large "
            "(ec2_instance_type: t2.micro)\n"
            "an account of your own: give its user the policy AmazonEC2FullAccess",
        ),
    ),
    (
        r"InvalidRegion|Provided region_name '([^']*)'|endpoint URL: \"?https://\w+\.([\w-]+)\.amazonaws",
        Diagnosis(
            "wrong_region",
            "AWS cannot be reached under the region's name ({0}): it is misspelt, or this computer "
            "has no network.",
            f"AWS_REGION=us-east-1 before the command (a Learner Lab has {REGIONS} only)\n"
            "getent hosts ec2.us-east-1.amazonaws.com    # is there a network?",
        ),
    ),
    (
        r"Could not connect to the endpoint|ConnectTimeout|ReadTimeout|Connection was closed"
        r"|Failed to establish a new connection",
        Diagnosis(
            "no_network",
            "AWS cannot be reached from this computer.",
            "check the network, the VPN, and AWS_ENDPOINT_URL, which should not be set",
        ),
    ),
    (
        r"RequestLimitExceeded|Throttling",
        Diagnosis(
            "throttled", "AWS gets too many requests of this account.", "the same again in a minute"
        ),
    ),
)


def diagnose(said: str) -> Diagnosis | None:
    """Says what an error text of AWS or botocore means; None: an unknown one."""
    for pattern, diagnosis in _KNOWN:
        found = re.search(pattern, said, re.DOTALL)
        if found:
            groups = [group for group in found.groups() if group]
            action = re.search(r"when calling the (\w+) operation", said)
            filler = action.group(1) if action else "see below"
            groups += [filler] * 2
            return Diagnosis(
                diagnosis.kind,
                diagnosis.what.format(*groups) if "{" in diagnosis.what else diagnosis.what,
                diagnosis.fix,
            )
    return None


def explain(said: str) -> str:
    """Returns the message for an error text: its meaning, the remedy, and AWS's own words.

    Args:
        said: the text. One that is not AWS's comes back as it is.
    """
    words = re.sub(r"(Encoded authorization failure message: \S{20})\S+", r"\1…", said.strip())
    known = diagnose(said)
    if known is None:
        return f"AWS refused: {words}" if "An error occurred (" in words else words
    return f"{known.text()}\nAWS says: {words}"
