"""Ansible module `converged_service`: a systemd service that runs with its current files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: converged_service
short_description: Make a systemd service run with its current files
version_added: "0.1.0"
author: labstack
description:
  - Starts and enables a service, and restarts or reloads it when a file it depends on is newer
    than its running process.
  - The decision depends on the host's state alone, never on what this run changed. So a run that
    was killed between writing a file and restarting is healed by the next one, without handlers.
  - A file's inode change time counts (ctime, which also moves with a rename, an owner or a mode),
    against the start of the service's main process. Missing files are ignored.
  - A service that was started or reloaded must then stay up for a while; the task fails with its
    journal where it does not. Whether it answers requests is for another module to find out.
  - Check mode sees the files as they are, not as earlier tasks of the same run would have made
    them.
options:
  name:
    description: Name of the unit; C(.service) is added where no suffix is given.
    type: str
    required: true
  restart_on:
    description:
      - Files and directories (with all that is in them) whose change asks for a restart. A symbolic
        link counts, and so does its target.
      - The unit file, its drop-ins and their directory below /etc count by themselves, and for a
        timer the unit file of what it starts.
    type: list
    elements: path
    default: []
  reload_on:
    description:
      - The same for a reload. A restart wins over it, and replaces it where the unit cannot reload.
    type: list
    elements: path
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
    description: Decides, changes nothing. A unit that does not exist yet would be started.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
"""

EXAMPLES = r"""
- name: Run Prometheus with its current files
  labstack.stack.converged_service:
    name: prometheus
    restart_on:
      - /usr/local/bin/prometheus
      - /etc/prometheus/web.yml
    reload_on:
      - /etc/prometheus/prometheus.yml
      - /etc/prometheus/rules.yml
"""

RETURN = r"""
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


from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.labstack.stack.plugins.module_utils.services import (
    ENVIRONMENT,
    Service,
    ServiceError,
    Wanted,
    full_name,
    future_files,
)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "restart_on": {"type": "list", "elements": "path", "default": []},
            "reload_on": {"type": "list", "elements": "path", "default": []},
            "enabled": {"type": "bool", "default": True},
            "settle": {"type": "float", "default": 1.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    module.run_command_environ_update = ENVIRONMENT
    wanted = Wanted(
        unit=full_name(params["name"]),
        restart_on=tuple(map(Path, params["restart_on"])),
        reload_on=tuple(map(Path, params["reload_on"])),
        enabled=params["enabled"],
        settle=params["settle"],
    )
    try:
        decision = Service(wanted, module.run_command).converge(module.check_mode)
    except (ServiceError, OSError) as error:
        module.fail_json(msg=str(error))
    if decision.action != "none" and (warning := future_files(wanted)):
        module.warn(warning)
    module.exit_json(
        changed=decision.action != "none", action=decision.action, reason=decision.reason
    )


if __name__ == "__main__":
    main()
