"""site.yml: the stages of a host."""

from __future__ import annotations

import yaml

from tests.role_readme import REPOSITORY

PLAYS = yaml.safe_load((REPOSITORY / "site.yml").read_text())
# The others are given facts and passwords by these.
ALWAYS = {"preflight", "secrets"}


def test_each_role_runs_by_its_name_as_a_tag() -> None:
    tags = {
        role["role"].removeprefix("labstack.stack."): role["tags"] for role in PLAYS[0]["roles"]
    }
    assert tags == {name: "always" if name in ALWAYS else name for name in tags}


def test_the_verification_is_a_tag_with_what_it_reads_back() -> None:
    """Without the certificate the administrator's password would go to whoever answers."""
    (play,) = yaml.safe_load((REPOSITORY / "playbooks" / "verify.yml").read_text())
    assert play["tags"] == "verify"
