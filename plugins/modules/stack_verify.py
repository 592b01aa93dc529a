#!/usr/bin/python
"""Documentation of the action plugin stack_verify, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_verify
short_description: Look at the running stack as a user would
description:
  - Runs on the controller and looks, through the host's address, at every page and interface of
    the stack. All checks run at the same time, and each is tried until it holds or the time is up.
  - The message of a failure has, for every check, what was seen, its likely cause and the command
    that looks closer. A success shows a count, and a line for each check under C(-v).
  - The only thing that it changes is a product row, which it writes, reads and deletes. It is left
    out in check mode.
options:
  address:
    description: The host's address, as people type it in a browser.
    type: str
    required: true
  servers:
    description:
      - What the stack has, by name. Each has C(port), and where they differ from the default
        C(scheme) (http), C(present) (true), C(user) and C(password). C(closed) says that nobody but
        the host may reach it. What else an entry has is passed over.
      - C(trusted) asks for a certificate that browsers trust, by this computer's authorities or
        those of C(ca_file). Otherwise C(certificate) (PEM) is the only one that is taken, and
        where it is not given, any. A password is never sent to another one.
      - C(jobs) are the scrape jobs that must have a target, all up but those of C(may_be_down).
      - C(dashboards) are the numbers of grafana.com's that Grafana must have beside the role's own.
    type: dict
    required: true
  roles:
    description:
      - Folder of the roles. What to look at is in its files C(*/checks/main.yml). A check of a
        server that is not present is left out.
      - A check has C(name), C(server), C(cause), and C(look_closer) (typed on the host) or
        C(run_here). C(needs) and C(unless) name what the server must or must not have.
      - C(kind) is http (the default), certificate, closed, product, targets, alerts or dashboards.
      - Http looks at C(path), as a stranger where C(login) is false, for C(status),
        C(content_type), C(contains) (a text), C(json) and C(metrics). C(host) is the name by which
        the server is asked.
    type: path
    required: true
  checks:
    description:
      - Further checks, in the same words, each with its C(part), as an application's pages.
    type: list
    elements: dict
    default: []
  ssh_command:
    description: How a person logs in on the host; begins the commands of a failure's message.
    type: str
    default: ssh HOST
  timeout:
    description: Seconds until a check that does not hold has failed.
    type: float
    default: 60.0
  request_timeout:
    description: Seconds to wait for one answer.
    type: float
    default: 5.0
  must_hold:
    description: Fail where a check does not hold. False returns what was seen, for a report.
    type: bool
    default: true
author: labstack (@labstack)
"""

EXAMPLES = r"""
- name: Look at Prometheus as a user would
  labstack.stack.stack_verify:
    address: "{{ ansible_host }}"
    servers:
      prometheus: {port: 9090, user: monitor, password: "{{ monitoring_password }}"}
    roles: "{{ playbook_dir }}/roles"
"""

RETURN = r"""
checks:
  description:
    - Each check with C(part) (the role), C(name), C(passed) and C(seen); one that does not hold
      has C(cause) and C(command) besides.
  returned: success
  type: list
  elements: dict
left_out:
  description: In check mode, what does not run yet, or would have to write.
  returned: success
  type: list
  elements: str
"""
