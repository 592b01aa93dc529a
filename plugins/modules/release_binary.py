"""Ansible module `release_binary`: programs of a release tarball at a given version."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_binary
short_description: Bring the programs of a release tarball to a version
version_added: "0.1.0"
author: labstack
description:
  - Asks the installed programs for their version first. When each reports the wanted one, there is
    no download and no change.
  - Otherwise downloads the tarball, checks its SHA-256, unpacks the programs beside their
    destinations, runs each once, and only then gives all of them their names. A running program
    is not disturbed; restart it afterwards.
options:
  name:
    description:
      - Name of the component in messages. Its version and checksum are expected in the variables
        C(<name>_version) and C(<name>_sha256).
    type: str
    required: true
  version:
    description: The wanted version, without a leading C(v). Build metadata (C(+ds)) is ignored.
    type: str
    required: true
  url:
    description: HTTP or HTTPS address of the tarball.
    type: str
    required: true
  sha256:
    description: SHA-256 of the tarball, 64 hexadecimal digits.
    type: str
    required: true
  binaries:
    description: The programs to install.
    type: list
    elements: dict
    required: true
    suboptions:
      member:
        description: Path in the tarball. A first component C(*) stands for any directory.
        type: str
        required: true
      dest:
        description: Absolute path of the installed program. Its directory must exist.
        type: path
        required: true
  version_args:
    description: Arguments with which each program prints its version.
    type: list
    elements: str
    default: ["--version"]
  timeout:
    description: Seconds without progress after which a download counts as failed.
    type: int
    default: 60
attributes:
  check_mode:
    description: Runs the installed programs, downloads nothing.
    support: full
  diff_mode:
    description: Shows the versions.
    support: full
"""

EXAMPLES = r"""
- name: Install Prometheus
  labstack.stack.release_binary:
    name: prometheus
    version: "{{ prometheus_version }}"
    url: "{{ prometheus_url }}"
    sha256: "{{ prometheus_sha256 }}"
    binaries:
      - {member: "*/prometheus", dest: /usr/local/bin/prometheus}
      - {member: "*/promtool", dest: /usr/local/bin/promtool}
"""

RETURN = r"""
installed_version:
  description: What the first program that is not as wanted reported before, null if it was missing.
  returned: success
  type: str
version:
  description: The wanted version.
  returned: success
  type: str
"""


from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.labstack.stack.plugins.module_utils.releases import (
    Binary,
    Release,
    ReleaseError,
    converge,
    version_diff,
    without_build,
)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "binaries": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "member": {"type": "str", "required": True},
                    "dest": {"type": "path", "required": True},
                },
            },
            "version_args": {"type": "list", "elements": "str", "default": ["--version"]},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    release = Release(
        name=params["name"],
        version=params["version"],
        url=params["url"],
        sha256=params["sha256"],
        binaries=tuple(Binary(b["member"], Path(b["dest"])) for b in params["binaries"]),
        version_args=tuple(params["version_args"]),
        timeout=params["timeout"],
    )
    try:
        before = converge(release, module.check_mode)
    except ReleaseError as error:
        module.fail_json(msg=str(error))
    wanted = without_build(release.version)
    module.exit_json(
        changed=before is not None,
        installed_version=wanted if before is None else before or None,
        version=release.version,
        **({"diff": version_diff(release, before)} if module._diff else {}),
    )


if __name__ == "__main__":
    main()
