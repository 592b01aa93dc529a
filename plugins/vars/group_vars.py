"""Vars plugin: group_vars and host_vars as Ansible reads them, with errors that name the file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: group_vars
short_description: group_vars and host_vars, with errors that name the file and the line
version_added: "0.1.0"
description:
  - Takes the place of P(ansible.builtin.host_group_vars#vars), which finds and reads the files, but
    drops from an error where it was, so that a tab in a file or a vault without its password would
    be told without the name of the file.
"""

from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.parsing.vault import AnsibleVaultError
from ansible.plugins.vars import BaseVarsPlugin
from ansible.plugins.vars.host_group_vars import VarsModule as HostGroupVars

VAULT_HELP = (
    "The file is encrypted. Give its password: add --ask-vault-pass to the command, or name a file "
    "with it: export ANSIBLE_VAULT_PASSWORD_FILE=~/.labstack-vault. If that was done, the password "
    "is not the file's."
)
YAML_HELP = "Mend that line; YAML indents with spaces. Then type the same command again."


class VarsModule(BaseVarsPlugin):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """The files of group_vars and host_vars."""

    is_stateless = True

    def __init__(self) -> None:
        """Make the plugin that finds and reads the files."""
        super().__init__()
        # Not by Ansible's loader, which would let it run beside this one.
        self.reader = HostGroupVars()

    def get_vars(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return the variables of hosts and groups.

        Raises:
            AnsibleParserError: a file cannot be read; with the place in it.
        """
        try:
            found: dict[str, Any] = self.reader.get_vars(*arguments, **options)
        except AnsibleParserError as error:
            cause = error.__context__
            if not isinstance(cause, AnsibleError) or cause.obj is None:
                raise
            vault = isinstance(cause, AnsibleVaultError)
            raise AnsibleParserError(
                f"{error} {VAULT_HELP if vault else YAML_HELP}", obj=cause.obj
            ) from None
        return found
