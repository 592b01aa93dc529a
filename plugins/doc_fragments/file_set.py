"""Documentation of the options that the modules `files` and `service` share."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment labstack.stack.file_set, in the form that Ansible expects."""

    DOCUMENTATION = r"""
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
    description: The files to write. Each takes one of V(template), V(src) and V(content).
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description:
          - Absolute path. A symbolic link there is replaced by the file. With a slash at its end,
            the directory that takes the files of O(files[].src).
        type: path
        required: true
      template:
        description:
          - A Jinja template on the controller, found and rendered as by
            M(ansible.builtin.template). It may extend, include and import what is in the directory
            C(templates) of this collection too, as C(hardened.service.j2).
        type: str
      src:
        description:
          - A file on the controller, found as by M(ansible.builtin.copy), of text. With a slash at
            its end, a directory, whose files are written, not those of directories in it.
        type: str
      content:
        description: The content itself.
        type: str
      replace:
        description: Texts to replace in the content, each with what takes its place.
        type: dict
      secret:
        description:
          - The content is neither logged nor shown in a diff, and its values are left out of a
            validator's words.
        type: bool
        default: false
      secret_content:
        description:
          - What the module gets in place of V(content) where O(files[].secret) is set. Not for
            tasks.
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
          - Command that checks the file, without a shell. C(%s) stands for the path of the
            candidate. An exit status other than 0 means invalid.
          - A unit in C(/etc/systemd/system) is checked by C(systemd-analyze verify) without being
            asked for.
        type: str
      state:
        description: Whether the file is there. An absent one takes no content, and may have one.
        type: str
        choices: [present, absent]
        default: present
"""
