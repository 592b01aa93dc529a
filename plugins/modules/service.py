"""Ansible module `service`: a systemd service, its program, its files and its process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service
short_description: Bring a service's program, files, unit and process to their state
version_added: "0.1.0"
author: labstack (@labstack)
extends_documentation_fragment: [labstack.stack.file_set]
description:
  - Does in one step, and so in one connection, what M(ansible.builtin.user),
    M(ansible.builtin.unarchive), M(ansible.builtin.template) and
    M(ansible.builtin.systemd_service) do in many.
  - First the user; then the programs of the release; then all files and the unit are validated and
    replaced together, as by M(labstack.stack.files); at last the service is started, or restarted
    or reloaded where a file that it reads is newer than its process. A step that fails leaves those
    after it undone.
  - Whether to restart is decided by the host's state alone, never by what this run changed. So a
    run that was killed between writing a file and restarting is healed by the next one, without
    handlers. A file's inode change time counts (ctime, which also moves with a rename, an owner or
    a mode), against the start of the service's main process. Missing files are ignored.
  - The installed programs are asked for their version first; when each reports the wanted one,
    nothing is downloaded. Otherwise the tarball's SHA-256 is checked, each program is run once
    beside its destination, and only then all get their names.
  - A service that was started or reloaded must then stay up for a while; the task fails with its
    journal where it does not. Whether it answers requests is for another module to find out.
options:
  name:
    description: Name of the unit, C(.service) may be left out.
    type: str
    required: true
  user:
    description:
      - A system user without a login, and its group of the same name, that are made where the user
        is missing. One that is there stays as it is.
    type: str
  home:
    description: Home of the user that is made. The directory itself is not.
    type: path
    default: /nonexistent
  release:
    description:
      - The release tarball that the service's program, which has the name of the unit, comes from;
        left out where a package brings it. Version and checksum are expected in the variables
        C(<name>_version) and C(<name>_sha256).
    type: dict
    suboptions:
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
      tools:
        description: Further programs of the tarball, which go beside that of the service.
        type: list
        elements: str
        default: []
      directory:
        description: Where programs go, and where validators are looked for first.
        type: path
        default: /usr/local/bin
      timeout:
        description:
          - Seconds without progress after which a download counts as failed. It is tried again for
            half a minute.
        type: int
        default: 20
  unit:
    description:
      - The unit, which goes to C(/etc/systemd/system) under its name and is checked by
        C(systemd-analyze verify); left out where a package brings it. One of V(template), V(src)
        and V(content), as for a file.
    type: dict
    suboptions:
      template:
        description: A Jinja template on the controller.
        type: str
      src:
        description: A file on the controller.
        type: str
      content:
        description: The content itself.
        type: str
  restart_on:
    description:
      - Files and directories (with all that is in them) that only a restart brings into use, by the
        name that they have in O(files) or O(directories), or by their path. A symbolic link counts,
        and so does its target.
      - The program of the release, the unit, its drop-ins and their directory below /etc count by
        themselves, and for a timer the unit file of what it starts.
      - By default all of O(files) that are not in O(reload_on).
    type: list
    elements: str
  reload_on:
    description:
      - The same for a reload. A restart wins over it, and replaces it where the unit cannot reload.
    type: list
    elements: str
    default: []
  enabled:
    description: Whether the service starts at boot.
    type: bool
    default: true
  settle:
    description:
      - Seconds for which the service must stay up after a start, restart or reload. A program that
        ends at once, or is started again by systemd, fails the task.
    type: float
    default: 1.0
attributes:
  check_mode:
    description: >-
      Runs the installed programs, downloads and writes nothing. Before a program is installed, or
      gets another version, the files that it would judge are not validated. A unit that does not
      exist yet would be started.
    support: full
  diff_mode:
    description: Shows the version and the files; of a secret, that it differs.
    support: full
"""

EXAMPLES = r"""
- name: Run the exporter
  labstack.stack.service:
    name: blackbox_exporter
    release:
      version: "{{ blackbox_exporter_version }}"
      url: "{{ blackbox_exporter_url }}"
      sha256: "{{ blackbox_exporter_sha256 }}"
    unit: {template: blackbox_exporter.service.j2}

- name: Run Prometheus with its configuration
  labstack.stack.service:
    name: prometheus
    user: prometheus
    directories:
      - {path: /etc/prometheus, group: prometheus, mode: "0750"}
    files:
      - template: prometheus.yml.j2
        dest: /etc/prometheus/prometheus.yml
        group: prometheus
        mode: "0640"
        validate: promtool check config %s
      - content: "{{ prometheus_scrape_password }}"
        dest: /etc/prometheus/scrape_password
        group: prometheus
        mode: "0640"
        secret: true
    unit: {template: prometheus.service.j2}
    restart_on: [scrape_password]
    reload_on: [prometheus.yml]

- name: Run the engine with its configuration
  labstack.stack.service:
    name: docker
    files:
      - {template: daemon.json.j2, dest: /etc/docker/daemon.json}
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

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..module_utils import accounts, file_sets, releases, services

_UNITS = Path("/etc/systemd/system")
_ERRORS = (
    accounts.AccountError,
    file_sets.FileSetError,
    releases.ReleaseError,
    services.ServiceError,
)


def unjudged(file_set: file_sets.FileSet) -> tuple[file_sets.FileSet, list[str]]:
    """Return the files without their validators, and the paths of those that had one.

    For a check before the installation: the unit names a program that is not there yet.
    """
    files = tuple(replace(file, validate=()) for file in file_set.files)
    return replace(file_set, files=files), [str(f.path) for f in file_set.files if f.validate]


def options() -> dict[str, Any]:
    """Return the module's options, as documented above."""
    names = {"type": "list", "elements": "str"}
    return {
        "name": {"type": "str", "required": True},
        "user": {"type": "str"},
        "home": {"type": "path", "default": "/nonexistent"},
        "release": {
            "type": "dict",
            "options": {
                "version": {"type": "str", "required": True},
                "url": {"type": "str", "required": True},
                "sha256": {"type": "str", "required": True},
                "tools": {"type": "list", "elements": "str", "default": []},
                "directory": {"type": "path", "default": "/usr/local/bin"},
                "timeout": {"type": "int", "default": 20},
            },
        },
        **file_sets.arguments(),
        "unit": {"type": "dict", "options": file_sets.content_options()},
        "restart_on": names,
        "reload_on": {**names, "default": []},
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


def parse_file_set(params: dict[str, Any], check: bool) -> file_sets.FileSet:
    """Read the directories, the files and the unit. Raises FileSetError."""
    unit = params["unit"]
    if unit is None:
        return file_sets.parse_file_set(params, check)
    # Root's own, with the mode that files have by default.
    left_out = dict.fromkeys(("owner", "group", "mode", "validate", "secret_content"))
    dest = str(_UNITS / services.full_name(params["name"]))
    entry = {**left_out, **unit, "dest": dest, "state": "present"}
    return file_sets.parse_file_set({**params, "files": [*params["files"], entry]}, check)


def paths_of(names: list[str], file_set: file_sets.FileSet) -> tuple[Path, ...]:
    """Return the paths that entries of restart_on or reload_on mean. Raises FileSetError."""
    known = [*(file.path for file in file_set.files), *(d.path for d in file_set.directories)]
    paths: list[Path] = []
    for name in names:
        found = [path for path in known if path.name == name]
        if Path(name).is_absolute():
            found = [Path(name)]
        if len(found) != 1:
            problem = "no file or directory" if not found else "more than one file or directory"
            raise file_sets.FileSetError(
                f"'{name}' in restart_on or reload_on is {problem} of this task: "
                f"write its path, as {known[0] if known else '/etc/app.conf'}"
            )
        paths += found
    return tuple(paths)


def parse_service(
    params: dict[str, Any], release: releases.Release | None, file_set: file_sets.FileSet
) -> services.Wanted:
    """Read what the service should be. Raises FileSetError."""
    reload_on = paths_of(params["reload_on"], file_set)
    if params["restart_on"] is None:
        restart_on = tuple(
            file.path
            for file in file_set.files
            if not {file.path, *file.path.parents} & set(reload_on)
        )
    else:
        restart_on = paths_of(params["restart_on"], file_set)
    program = (release.binaries[0].dest,) if release else ()
    return services.Wanted(
        unit=services.full_name(params["name"]),
        restart_on=(*program, *restart_on),
        reload_on=reload_on,
        enabled=params["enabled"],
        settle=params["settle"],
    )


def main() -> None:
    """Run as an Ansible module."""
    module = file_sets.FilesModule(argument_spec=options(), supports_check_mode=True)
    params, check = module.params, module.check_mode
    module.run_command_environ_update = services.ENVIRONMENT
    release = parse_release(params)
    if release:
        # A validator that came with the release is the one that is meant.
        os.environ["PATH"] = f"{params['release']['directory']}:{os.environ.get('PATH', '')}"
    before: str | None = None
    unvalidated: list[str] = []
    made_user = False
    try:
        if params["user"]:
            made_user = accounts.converge(
                params["user"], Path(params["home"]), module.run_command, check
            )
        file_set = parse_file_set(params, check)
        wanted = parse_service(params, release, file_set)
        if release:
            before = releases.converge(release, check)
        if check and before is not None:
            file_set, unvalidated = unjudged(file_set)
        outcome = file_sets.converge(file_set, check)
        pending = [Path(path) for path in outcome.changed_files] if check else []
        if check and release and before is not None:
            pending.append(release.binaries[0].dest)
        decision = services.Service(wanted, module.run_command).converge(check, pending)
    except _ERRORS as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=file_sets.unwritable(error))
    warnings = [*outcome.warnings]
    if decision.action != "none" and (warning := services.future_files(wanted)):
        warnings.append(warning)
    for warning in warnings:
        module.warn(warning)
    result: dict[str, Any] = {
        "changed": made_user
        or before is not None
        or bool(outcome.changed_files)
        or decision.action != "none",
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
    if made_user:
        diff = [{"before": "", "after": f"user {params['user']}\n"}, *diff]
    module.exit_json(**result, **({"diff": diff} if module._diff else {}))


if __name__ == "__main__":
    main()
