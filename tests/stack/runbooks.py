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


def commands(of_applications: bool = False) -> list[str]:
    """Return the commands for a host, or those for a host with an application called NAME."""
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", TEXT)]
    typed = [s for s in spans if " " in s and not NO_COMMAND.match(s)]
    return sorted({s for s in typed if bool(OF_APPLICATIONS.search(s)) == of_applications})
