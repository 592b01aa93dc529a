"""Action of labstack.stack.preflight: checks the variables and the way to the host."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils.problems import Problem, report
from ..module_utils.ssh_login import Target, check_way
from ..module_utils.variables import Names, form_of, invalid, not_boolean, read_names, unknown

# The checkout, or where the collection is installed.
COLLECTION = Path(__file__).resolve().parents[2]

ARGUMENTS = {
    "renamed": {"type": "dict", "default": {}},
    "usual_users": {"type": "list", "elements": "str", "default": ["ubuntu", "admin"]},
    "connect_timeout": {"type": "float", "default": 2.5},
    "login_timeout": {"type": "float", "default": 15.0},
    "command": {"type": "str", "default": "./lab run ansible-playbook site.yml"},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """Runs on the controller, and logs in once with the connection's own options."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Report everything that is wrong at once, or say how sudo is."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, params = self.validate_argument_spec(argument_spec=ARGUMENTS)
        problems = self._variables(task_vars or {}, params["renamed"])
        sudo = ""
        if self._connection.ansible_name.rpartition(".")[2] == "ssh":
            target = self._target(params)
            way, sudo = check_way(target, bool(self._connection.get_option("password")))
            problems += way
        if sudo == "refused" and not problems:
            problems += self._become(params["command"])
        if problems:
            raise AnsibleActionFail(report(problems))
        return result | {"changed": False, "sudo": sudo or "unchecked"}

    def _target(self, params: dict[str, Any]) -> Target:
        def option(name: str) -> Any:
            return self._connection.get_option(name) or ""

        key = str(option("private_key_file"))
        words = (option(name) for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"))
        return Target(
            address=str(option("host")),
            port=int(option("port") or 0),
            user=option("remote_user"),
            key=str(Path(key).expanduser()) if key else "",
            args=tuple(word for text in words for word in shlex.split(text)),
            executable=option("ssh_executable"),
            connect_timeout=params["connect_timeout"],
            login_timeout=params["login_timeout"],
            usual_users=tuple(params["usual_users"]),
            command=params["command"],
        )

    def _variables(self, task_vars: dict[str, Any], renamed: dict[str, str]) -> list[Problem]:
        """Return the problems of what people set: each name, and each value that has a form."""
        names: Names = read_names(COLLECTION, {COLLECTION, self._project(task_vars)}, renamed)
        problems = [one for name in sorted(task_vars) if (one := unknown(name, names))]
        for name in sorted(task_vars):
            ours = name.startswith("vault_") or (
                name.startswith(names.prefixes) and form_of(name) is not None
            )
            if not ours and name not in names.booleans:
                continue
            try:
                value = self._templar.template(task_vars[name])
            except AnsibleError:
                # It is made of what the run finds out later.
                continue
            if name.startswith("vault_") and not str(value or "").strip():
                found: Problem | None = Problem(
                    f"{name} is set but empty. An empty password is never taken.",
                    f'give it a value ({name}: "at least 12 characters", in a file of '
                    "ansible-vault),\n"
                    "or remove the line: the host then makes a password of its own",
                )
            else:
                found = not_boolean(name, value, names) or invalid(name, value)
            problems += [found] if found else []
        return problems

    @staticmethod
    def _project(task_vars: dict[str, Any]) -> Path:
        """Return the folder with group_vars: the playbook's, or the one above playbooks/."""
        folder = Path(task_vars["playbook_dir"]).resolve()
        return folder.parent if folder.name == "playbooks" else folder

    def _become(self, command: str) -> list[Problem]:
        """Try sudo with the password of the command line (-K), which is in no variable."""
        user = self._connection.get_option("remote_user") or "The user"
        try:
            done = self._low_level_execute_command("true")
            said = "" if done["rc"] == 0 else f"{done['stdout']} {done['stderr']}".strip()
        except AnsibleError as error:
            said = str(error)
        if not said:
            return []
        return [
            Problem(
                f"{user} may not use sudo without a password on the host ({said}).",
                f"let the run ask for the password: {command} -K\n"
                f"or, on the host, as root: echo '{user} ALL=(ALL) NOPASSWD:ALL' > "
                "/etc/sudoers.d/90-labstack",
            )
        ]
