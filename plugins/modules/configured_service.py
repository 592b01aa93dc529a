"""Ansible module `configured_service`: a service, its program and its files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: configured_service
short_description: Bring a service's program, files and process to their state
version_added: "0.1.0"
author: labstack
description:
  - Does in one step, and so in one connection, what M(labstack.stack.release_binary),
    M(labstack.stack.config_files) and M(labstack.stack.converged_service) do one after the other,
    by the same code.
  - First the programs of the release, where there is one; then all files are validated and replaced
    together; at last the service is started, or restarted or reloaded where a file that it reads is
    newer than the process. A step that fails leaves those after it undone.
options:
  name:
    description: Name of the unit, C(.service) may be left out.
    type: str
    required: true
  release:
    description:
      - The release tarball that the service's program, which has the name of the unit, comes from;
        left out where a package brings it. Version and checksum are expected in the variables
        C(<name>_version) and C(<name>_sha256).
    type: dict
    suboptions:
      version:
        description: The wanted version, as in M(labstack.stack.release_binary).
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
      tools:
        description: Further programs of the tarball, which go beside that of the service.
        type: list
        elements: str
        default: []
      directory:
        description: Where programs go.
        type: path
        default: /usr/local/bin
      timeout:
        description: Seconds without progress after which a download counts as failed.
        type: int
        default: 60
  directories:
    description: Directories to make first, as in M(labstack.stack.config_files).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Name or number of the owner; the user who runs the module by default.
        type: str
      group:
        description: Name or number of the group; that of the user by default.
        type: str
      mode:
        description: Four octal digits.
        type: str
        default: "0755"
  files:
    description: Files to write, the unit among them, as in M(labstack.stack.config_files).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Name or number of the owner; the user who runs the module by default.
        type: str
      group:
        description: Name or number of the group; that of the user by default.
        type: str
      mode:
        description: Four octal digits; C(0644) by default, C(0600) for a secret.
        type: str
      content:
        description: The content.
        type: str
      secret_content:
        description: The content, never shown in a log or a diff. Instead of C(content).
        type: str
      validate:
        description: A program and its arguments that judge the file; C(%s) stands for its path.
        type: list
        elements: str
  absent:
    description: Files to remove, as in M(labstack.stack.config_files).
    type: list
    elements: path
    default: []
  restart_on:
    description:
      - Files and directories that only a restart brings into use, as in
        M(labstack.stack.converged_service). The unit and the program of the release are always
        among them. All of O(files) by default.
    type: list
    elements: path
  reload_on:
    description: >-
      Files and directories that a reload brings into use, as in
      M(labstack.stack.converged_service).
    type: list
    elements: path
    default: []
  enabled:
    description: Whether the service starts at boot.
    type: bool
    default: true
  settle:
    description: Seconds for which the service must stay up after a start.
    type: float
    default: 1.0
attributes:
  check_mode:
    description: >-
      Runs the installed programs, downloads and writes nothing. Before a program is installed, or
      gets another version, the files that it would judge are not validated.
    support: full
  diff_mode:
    description: Shows the version and the files; of a secret, that it differs.
    support: full
"""

EXAMPLES = r"""
- name: Run the exporter
  labstack.stack.configured_service:
    name: blackbox_exporter
    release:
      version: "{{ blackbox_exporter_version }}"
      url: "{{ blackbox_exporter_url }}"
      sha256: "{{ blackbox_exporter_sha256 }}"
    files:
      - path: /etc/systemd/system/blackbox_exporter.service
        content: "{{ lookup('ansible.builtin.template', 'service.j2') }}"

- name: Run the engine with its configuration
  labstack.stack.configured_service:
    name: docker
    files:
      - path: /etc/docker/daemon.json
        content: "{{ lookup('ansible.builtin.template', 'daemon.json.j2') }}"
"""

RETURN = r"""
installed_version:
  description: What the first program not as wanted reported before, null if it was missing.
  returned: success, with a release
  type: str
changed_files:
  description: Paths of what was (would be) made, replaced, or given an owner or mode.
  returned: success
  type: list
  elements: str
unvalidated:
  description: Paths of files that check mode could not validate.
  returned: success
  type: list
  elements: str
action:
  description: What was done (would be done) to the service.
  returned: success
  type: str
  sample: none, started, restarted, reloaded, enabled, disabled
reason:
  description: Why, for instance the file that is newer than the process.
  returned: success
  type: str
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.labstack.stack.plugins.module_utils import file_batches, releases, services


def unjudged(batch: file_batches.Batch) -> tuple[file_batches.Batch, list[str]]:
    """Return the batch without its validators, and the paths of the files that had one.

    For a check before the installation: the unit names a program that is not there yet.
    """
    files = tuple(replace(file, validate=()) for file in batch.files)
    return replace(batch, files=files), [str(f.path) for f in batch.files if f.validate]


def options() -> dict[str, Any]:
    """Return the module's options, as documented above."""
    paths = {"type": "list", "elements": "path"}
    return {
        "name": {"type": "str", "required": True},
        "release": {
            "type": "dict",
            "options": {
                "version": {"type": "str", "required": True},
                "url": {"type": "str", "required": True},
                "sha256": {"type": "str", "required": True},
                "tools": {"type": "list", "elements": "str", "default": []},
                "directory": {"type": "path", "default": "/usr/local/bin"},
                "timeout": {"type": "int", "default": 60},
            },
        },
        **file_batches.arguments(),
        "restart_on": paths,
        "reload_on": {**paths, "default": []},
        "enabled": {"type": "bool", "default": True},
        "settle": {"type": "float", "default": 1.0},
    }


def parse_release(params: dict[str, Any]) -> releases.Release | None:
    """Read the release, None where there is none; its first program is the service's."""
    wanted = params["release"]
    if wanted is None:
        return None
    directory = Path(wanted["directory"])
    return releases.Release(
        name=params["name"],
        version=wanted["version"],
        url=wanted["url"],
        sha256=wanted["sha256"],
        binaries=tuple(
            releases.Binary(f"*/{name}", directory / name)
            for name in (params["name"], *wanted["tools"])
        ),
        timeout=wanted["timeout"],
    )


def parse_service(params: dict[str, Any], release: releases.Release | None) -> services.Wanted:
    """Read what the service should be."""
    files = [file["path"] for file in params["files"]]
    restart_on = files if params["restart_on"] is None else params["restart_on"]
    program = [release.binaries[0].dest] if release else []
    return services.Wanted(
        unit=services.full_name(params["name"]),
        restart_on=(*program, *map(Path, restart_on)),
        reload_on=tuple(map(Path, params["reload_on"])),
        enabled=params["enabled"],
        settle=params["settle"],
    )


def main() -> None:
    """Run as an Ansible module."""
    module = file_batches.ConfigModule(argument_spec=options(), supports_check_mode=True)
    params, check = module.params, module.check_mode
    module.run_command_environ_update = services.ENVIRONMENT
    release = parse_release(params)
    wanted = parse_service(params, release)
    before: str | None = None
    unvalidated: list[str] = []
    try:
        batch = file_batches.parse_batch(params, check)
        if release:
            before = releases.converge(release, check)
        if check and before is not None:
            batch, unvalidated = unjudged(batch)
        outcome = file_batches.converge(batch, check)
        pending = [Path(path) for path in outcome.changed_files] if check else []
        if check and release and before is not None:
            pending.append(release.binaries[0].dest)
        decision = services.Service(wanted, module.run_command).converge(check, pending)
    except (releases.ReleaseError, file_batches.ConfigError, services.ServiceError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=file_batches.unwritable(error))
    warnings = [*outcome.warnings]
    if decision.action != "none" and (warning := services.future_files(wanted)):
        warnings.append(warning)
    for warning in warnings:
        module.warn(warning)
    result: dict[str, Any] = {
        "changed": before is not None or bool(outcome.changed_files) or decision.action != "none",
        "changed_files": outcome.changed_files,
        "unvalidated": [*outcome.unvalidated, *unvalidated],
        "action": decision.action,
        "reason": decision.reason,
    }
    diff = outcome.diff
    if release:
        version = releases.without_build(release.version)
        result["installed_version"] = version if before is None else before or None
        if before is not None:
            diff = [releases.version_diff(release, before), *diff]
    module.exit_json(**result, **({"diff": diff} if module._diff else {}))


if __name__ == "__main__":
    main()
