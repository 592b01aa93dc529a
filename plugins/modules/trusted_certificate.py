#!/usr/bin/python
"""Ansible module: has a certificate that browsers trust issued, and serves it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: trusted_certificate
short_description: Keep a certificate of an ACME server that the web server serves
description:
  - Looks at the pair that serves. Where there is none, or it is for another address, from another
    server, or past the half of its life, certbot asks for one in a container, with the web server's
    own port 80 as the proof. The web server reads it by a reload that drops no connection.
  - A pair that is fit costs no request to the outside.
  - What served goes on serving when that fails, as long as it is fit; else the web server's own
    self-signed certificate takes its place. The task fails, and says what to do.
options:
  state:
    description: V(absent) lets the self-signed certificate serve, and removes certbot's image.
    type: str
    choices: [present, absent]
    default: present
  settings:
    description: The content of the settings file that the timer works with.
    type: dict
    required: true
attributes:
  check_mode:
    description: Tells whether a certificate would be asked for, and why; asks nobody.
    support: full
  diff_mode:
    description: RV(reason) says it.
    support: none
author: labstack (@labstack)
"""

EXAMPLES = r"""
- name: Keep a trusted certificate
  labstack.stack.trusted_certificate:
    settings: "{{ __certificate_settings }}"
"""

RETURN = r"""
reason:
  description: Why a certificate is (would be) asked for; empty when the one there is stays.
  returned: success
  type: str
"""

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.certificates import CertificateError, Docker, Keeper, Settings


def present(module: AnsibleModule, keeper: Keeper) -> tuple[bool, str]:
    """Have a fit certificate serve; return whether something changed, and why.

    Raises:
        CertificateError: none can be had, or it is not served.
        OSError: a file cannot be read or written.
    """
    if not shutil.which("openssl") or not shutil.which("docker"):
        if module.check_mode:
            return True, "there is none"
        raise CertificateError(
            "A trusted certificate needs openssl and docker on the host.\n"
            "   -> sudo apt-get install openssl; role docker brings Docker"
        )
    reason = keeper.due()
    if module.check_mode:
        return bool(reason) or not keeper.is_served(), reason
    if reason:
        # The authority may want it to be renewed later than we would; then nothing has changed.
        return keeper.keep(), reason
    # Fit, but a run was killed before the web server was told.
    return keeper.serve(), reason


def absent(module: AnsibleModule, keeper: Keeper) -> bool:
    """Let the self-signed certificate serve, and remove the image; return whether it changed.

    Raises:
        CertificateError: docker fails.
        OSError: a file cannot be removed.
    """
    there = bool(keeper.current())
    if module.check_mode:
        return there
    if there:
        keeper.remove()
    return bool(keeper.remove_images()) or there if shutil.which("docker") else there


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent"], "default": "present"},
            "settings": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    settings = Settings(**module.params["settings"])
    keeper = Keeper(settings, Docker())
    try:
        if module.params["state"] == "absent":
            module.exit_json(
                changed=Path(settings.directory).is_dir() and absent(module, keeper), reason=""
            )
        changed, reason = present(module, keeper)
        module.exit_json(changed=changed, reason=reason)
    except (CertificateError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
