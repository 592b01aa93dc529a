"""Filter `goarch`: the name that releases written in Go give to a host's architecture."""

from __future__ import annotations

from collections.abc import Callable

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: goarch
short_description: name an architecture as releases of Go programs do
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Returns V(amd64) for V(x86_64) and V(arm64) for V(aarch64), as Debian's packages call them too.
options:
  _input:
    description: The fact C(ansible_facts['architecture']).
    type: str
    required: true
"""

EXAMPLES = r"""
# tool-1.2.3.linux-arm64.tar.gz on a host with aarch64
tarball: "tool-1.2.3.linux-{{ ansible_facts['architecture'] | labstack.stack.goarch }}.tar.gz"
"""

RETURN = r"""
_value:
  description: The architecture's other name.
  type: str
"""

_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def goarch(architecture: str) -> str:
    """Return the name; raises AnsibleFilterError for an architecture that has none here."""
    try:
        return _NAMES[architecture]
    except KeyError:
        raise AnsibleFilterError(
            f"goarch: the architecture {architecture!r} is not supported. "
            f"Supported: {', '.join(_NAMES)}."
        ) from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters of this file by name."""
        return {"goarch": goarch}
