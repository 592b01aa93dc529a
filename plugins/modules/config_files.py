"""Ansible module `config_files`: a role's files as one batch, validated and replaced together."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Write a batch of files, all validated before any is replaced
version_added: "0.1.0"
author: labstack
description:
  - Writes the new contents under their final names into a hidden directory beside the targets,
    validates all of them, and only then gives them their places by rename. One invalid file, and
    none is replaced.
  - The hidden directory shows every other entry of the target directory as a symbolic link. So a
    file that names another one by a relative path is validated against the new state of both; an
    absolute path leads to the old state. Below C(..) there is nothing to find.
  - When one content differs, every file with O(files[].validate) is validated, as a change of one
    can break another. When none differs, nothing is. Owners and modes are put right either way.
options:
  directories:
    description: Directories to make first, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Missing parents are made with mode 0755.
        type: path
        required: true
      owner:
        description: Name or number of the owner; by default the user who runs the module.
        type: str
      group:
        description: Name or number of the group; by default that of the user who runs the module.
        type: str
      mode:
        description: Permission bits, four octal digits in quotes.
        type: str
        default: "0755"
  files:
    description: The files to write.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. A symbolic link there is replaced by the file.
        type: path
        required: true
      content:
        description: The content, as it is. Either this or O(files[].secret_content) is required.
        type: str
      secret_content:
        description:
          - A content that is neither logged nor shown in a diff, and whose values are left out of a
            validator's words.
        type: str
      owner:
        description: Name or number of the owner; by default the user who runs the module.
        type: str
      group:
        description: Name or number of the group; by default that of the user who runs the module.
        type: str
      mode:
        description: Permission bits, four octal digits in quotes. By default 0644, a secret's 0600.
        type: str
      validate:
        description:
          - Program and arguments that check the file, without a shell. C(%s) stands for the path of
            the candidate. An exit status other than 0 means invalid.
        type: list
        elements: str
  absent:
    description: Files to remove.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description:
      - Validates in a temporary directory, and writes nothing elsewhere. A user, group, directory
        or validating program that is missing is assumed to come. A validation that fails does not
        fail the task, as it may lack them; the file is in RV(unvalidated), and a warning says why.
    support: full
  diff_mode:
    description: Shows contents, owners and modes; of a secret only that it differs.
    support: full
"""

EXAMPLES = r"""
- name: Write the configuration
  labstack.stack.config_files:
    directories:
      - {path: /etc/prometheus, owner: root, group: prometheus, mode: "0750"}
    files:
      - path: /etc/prometheus/prometheus.yml
        content: "{{ lookup('ansible.builtin.template', 'prometheus.yml.j2') }}"
        group: prometheus
        mode: "0640"
        validate: [/usr/local/bin/promtool, check, config, "%s"]
      - path: /etc/prometheus/web.yml
        secret_content: "{{ lookup('ansible.builtin.template', 'web.yml.j2') }}"
        group: prometheus
        mode: "0640"
    absent:
      - /etc/prometheus/old.yml
"""

RETURN = r"""
changed_files:
  description: Paths of what was (would be) made, replaced, removed, or given an owner or mode.
  returned: success
  type: list
  elements: str
unvalidated:
  description: Paths of files that check mode could not validate.
  returned: success
  type: list
  elements: str
"""


from ansible_collections.labstack.stack.plugins.module_utils.file_batches import (
    ConfigError,
    ConfigModule,
    arguments,
    converge,
    parse_batch,
    unwritable,
)


def main() -> None:
    """Run as an Ansible module."""
    module = ConfigModule(argument_spec=arguments(), supports_check_mode=True)
    try:
        outcome = converge(parse_batch(module.params, module.check_mode), module.check_mode)
    except ConfigError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=unwritable(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(
        changed=bool(outcome.changed_files),
        changed_files=outcome.changed_files,
        unvalidated=outcome.unvalidated,
        **({"diff": outcome.diff} if module._diff else {}),
    )


if __name__ == "__main__":
    main()
