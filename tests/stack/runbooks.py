"""What docs/runbooks.md tells people to type."""

from __future__ import annotations

import re

from tests.role_readme import REPOSITORY

TEXT = (REPOSITORY / "docs" / "runbooks.md").read_text(encoding="utf-8")
# Words of programs, variables, and what is typed on the controller.
NO_COMMAND = re.compile(r"connection refused|EC2_IP=|\./lab|ssh -i|\d+ |HTTP |webapp_apps:")
CHANGES = re.compile(r"\b(restart|prune|clean|silence add|set-ntp|install|--vacuum-size=\S+)\b")
# They need an application beside the bundled one, whose name takes the place of NAME.
OF_APPLICATIONS = re.compile(r"NAME|applications\.json")


def commands() -> list[str]:
    """Return the commands for a host with the bundled application alone."""
    return [command for command in _all() if not OF_APPLICATIONS.search(command)]


def of_applications(name: str) -> list[str]:
    """Return the commands about an application, without those that change something."""
    found = [command for command in _all() if OF_APPLICATIONS.search(command)]
    return [command.replace("NAME", name) for command in found if not CHANGES.search(command)]


def _all() -> list[str]:
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", TEXT)]
    typed = [s for s in spans if " " in s and not NO_COMMAND.match(s)]
    return sorted(set(typed))
