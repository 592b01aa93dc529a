"""Filter `checksum_for`: of a release's pinned checksums, the one of a host's architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible.errors import AnsibleFilterError

from .goarch import goarch

DOCUMENTATION = r"""
name: checksum_for
short_description: choose a release's checksum by the host's architecture
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Returns the checksum of the tarball for an architecture, and refuses an architecture for which
    none is pinned.
positional: architecture, program
options:
  _input:
    description: Checksums by architecture, V(amd64) and V(arm64).
    type: dict
    required: true
  architecture:
    description: The fact C(ansible_facts['architecture']).
    type: str
    required: true
  program:
    description: The release's name, for messages. C(<program>_checksums) is the variable.
    type: str
    required: true
"""

EXAMPLES = r"""
# The second one on a host with aarch64
sha256: "{{ {'amd64': '87f2…', 'arm64': 'ffa8…'}
  | labstack.stack.checksum_for(ansible_facts['architecture'], 'prometheus') }}"
"""

RETURN = r"""
_value:
  description: The checksum.
  type: str
"""


def checksum_for(checksums: Mapping[str, str], architecture: str, program: str) -> str:
    """Return a release's checksum for an architecture.

    Args:
        checksums: SHA-256 by architecture, as Go names it.
        architecture: the host's, as the kernel names it.
        program: the release's name.

    Raises:
        AnsibleFilterError: none is pinned for this architecture.
    """
    wanted = goarch(architecture)
    if isinstance(checksums, Mapping) and checksums.get(wanted):
        return checksums[wanted]
    example = {"amd64": "0123…", "arm64": "4567…"}
    message = (
        f"{program}_checksums has no checksum for {wanted}, this host's architecture. Take it from "
        f"the sha256sums.txt of the release (or of the tarball: sha256sum FILE) and write it into "
        f"group_vars/all/versions.yml: {program}_checksums: {{{wanted}: {example[wanted]}}}"
    )
    if program.endswith("_exporter"):
        message += (
            f". Or leave {program} out: name the others in stack_exporters "
            "(group_vars/all/stack.yml)"
        )
    raise AnsibleFilterError(message)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters of this file by name."""
        return {"checksum_for": checksum_for}
