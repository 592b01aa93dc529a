"""Action plugin `files`: reads what files contain on the controller, and runs the module once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

# In a checkout and in an installed collection: templates that roles share, as hardened.service.j2.
COLLECTION = Path(__file__).resolve().parents[2]
SOURCES = ("template", "src", "content")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """Turns `template` and `src` into contents, so that the module needs one connection.

    Templates and files are found as ansible.builtin.template and copy find them: in the role first.
    What a template extends, includes or imports is found there too, and in the directory
    `templates` of this collection.
    """

    _MODULE = "labstack.stack.files"

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with the contents. Raises AnsibleActionFail, AnsibleError."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(
            self._execute_module(
                module_name=self._MODULE,
                module_args=self.module_arguments(variables),
                task_vars=variables,
            )
        )
        return result

    def module_arguments(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the task's arguments with contents in place of templates and sources.

        Raises AnsibleActionFail, AnsibleError.
        """
        arguments = dict(self._task.args)
        files = arguments.get("files") or []
        if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
            raise AnsibleActionFail(
                "files takes a list: files: [{template: a.conf.j2, dest: /etc/a.conf}]"
            )
        if files:
            arguments["files"] = [
                entry for file in files for entry in self._entries(dict(file), variables)
            ]
        return arguments

    def _entries(self, file: dict[str, Any], variables: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what the module gets for a file, or for each file of a directory."""
        if file.get("state") == "absent":
            return [{"dest": file.get("dest"), "state": "absent"}]
        source, dest = str(file.get("src") or ""), str(file.get("dest") or "")
        if not source.endswith("/"):
            return [self._with_content(file, variables)]
        if not dest.endswith("/"):
            raise AnsibleActionFail(
                f"src {source} is a directory, so dest must be one: {dest or '/etc/app'}/"
            )
        directory = Path(self._find_needle("files", source.rstrip("/")))
        if not directory.is_dir():
            raise AnsibleActionFail(f"src {source} is not a directory: {directory}")
        return [
            self._with_content({**file, "src": str(path), "dest": f"{dest}{path.name}"}, variables)
            for path in sorted(directory.iterdir())
            if path.is_file()
        ]

    def _with_content(self, file: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Return a file with its content, under the option that keeps it out of logs if secret."""
        given = [name for name in SOURCES if file.get(name) is not None]
        if len(given) != 1:
            raise AnsibleActionFail(
                f"{file.get('dest') or 'A file'} takes one of template, src and content, and has "
                f"{' and '.join(given) or 'none'}: {{template: a.conf.j2, dest: /etc/a.conf}}"
            )
        value = file.pop(given[0])
        if not isinstance(value, str):
            raise AnsibleActionFail(
                f"{given[0]} of {file.get('dest')} is no text but a {type(value).__name__}: "
                "{{ x | ansible.builtin.to_json }} or to_yaml makes one of it"
            )
        if given[0] == "template":
            content = self._rendered(value, variables)
        elif given[0] == "src":
            content = str(self._loader.get_text_file_contents(self._find_needle("files", value)))
        else:
            content = value
        for old, new in (file.pop("replace", None) or {}).items():
            content = content.replace(str(old), str(new))
        secret = boolean(file.pop("secret", False))
        return {**file, "secret_content" if secret else "content": content}

    def _rendered(self, name: str, variables: dict[str, Any]) -> str:
        """Return the text of a template. Raises AnsibleActionFail, AnsibleError."""
        source = str(self._find_needle("templates", name))
        roots = [*self._task.get_search_path(), str(COLLECTION)]
        directories = [part for root in roots for part in (f"{root}/templates", root)]
        templar = self._templar.copy_with_new_env(
            searchpath=[str(Path(source).parent), *directories],
            available_variables=variables,
        )
        text = templar.template(
            trust_as_template(self._loader.get_text_file_contents(source)),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": False},
        )
        # A template of one expression without a newline after it gives that expression's value.
        if not isinstance(text, str):
            raise AnsibleActionFail(f"{source} renders no text: end it with a newline.")
        return text
