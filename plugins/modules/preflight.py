#!/usr/bin/python
"""Documentation of the action plugin preflight, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check the variables and the way to the host
description:
  - Runs on the controller and changes nothing on the host. A host key that was never seen is
    written to known_hosts, as the first login of the run would do.
  - Refuses variables that nobody reads (with the nearest name that somebody does), have an old
    name, or a value of another form than their name asks for.
  - Tells apart why a host cannot be reached or logged in to, by the options of the play's own
    connection, and says what to type next. With another connection than ssh nothing is looked at.
  - Problems that can be seen together are reported together.
options:
  renamed:
    description: Old names of variables with their new ones; an empty one where there is none.
    type: dict
    default: {}
  usual_users:
    description: Login names to try with the same key when the given one is refused.
    type: list
    elements: str
    default: [ubuntu, admin]
  connect_timeout:
    description: Seconds to wait for the port and for the server's greeting.
    type: float
    default: 2.5
  login_timeout:
    description: Seconds to wait for a login once the server has greeted.
    type: float
    default: 15.0
  command:
    description: The command to type again after a problem is solved.
    type: str
    default: ./lab run ansible-playbook site.yml
author: labstack (@labstack)
"""

EXAMPLES = r"""
- name: Check the variables and the way to the host
  labstack.stack.preflight:
"""

RETURN = r"""
sudo:
  description:
    - "root: the login needs none. ok: it works without a password. refused: it works with the run's
      password. unchecked: no login was tried."
  returned: success
  type: str
"""
