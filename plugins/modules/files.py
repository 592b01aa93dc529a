"""Ansible module `files`: a role's files, validated and replaced together."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Write files, all validated before any is replaced
version_added: "0.1.0"
author: labstack (@labstack)
extends_documentation_fragment: [labstack.stack.file_set]
description:
  - What M(ansible.builtin.template) and M(ansible.builtin.copy) do for each file, for all files of
    a role in one connection.
  - Writes the new contents under their final names into a hidden directory beside the targets,
    validates all of them, and only then gives them their places by rename. One invalid file, and
    none is replaced.
  - The hidden directory shows every other entry of the target directory as a symbolic link. So a
    file that names another one by a relative path is validated against the new state of both; an
    absolute path leads to the old state. Below C(..) there is nothing to find.
  - When one content differs, every file with O(files[].validate) is validated, as a change of one
    can break another. When none differs, nothing is. Owners and modes are put right either way.
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
  labstack.stack.files:
    directories:
      - {path: /etc/prometheus, group: prometheus, mode: "0750"}
    files:
      - template: prometheus.yml.j2
        dest: /etc/prometheus/prometheus.yml
        group: prometheus
        mode: "0640"
        validate: promtool check config %s
      - {src: rules.d/, dest: /etc/prometheus/rules.d/, validate: promtool check rules %s}
      - {template: web.yml.j2, dest: /etc/prometheus/web.yml, secret: true}
      - {dest: /etc/prometheus/old.yml, state: absent}
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


from ..module_utils.file_sets import (
    FileSetError,
    FilesModule,
    arguments,
    converge,
    parse_file_set,
    unwritable,
)


def main() -> None:
    """Run as an Ansible module."""
    module = FilesModule(argument_spec=arguments(), supports_check_mode=True)
    try:
        outcome = converge(parse_file_set(module.params, module.check_mode), module.check_mode)
    except FileSetError as error:
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
