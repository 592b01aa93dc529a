"""Ansible module `self_signed_certificate`: a certificate for an address, for the time being."""

from __future__ import annotations

DOCUMENTATION = r"""
module: self_signed_certificate
short_description: Keep a key and a self-signed certificate for a host's address
version_added: "0.1.0"
author: labstack (@labstack)
description:
  - Keeps C(cert.pem) and C(key.pem) in a directory. They stay while they belong together, name the
    address and are valid long enough; otherwise both are made anew.
  - Uses the C(openssl) command, which every server has, so that no Python package is needed.
options:
  directory:
    description: Where the two files are. Created if missing.
    type: path
    required: true
  address:
    description: IP address or DNS name that the certificate is for.
    type: str
    required: true
  gid:
    description: Number of the group that may read the key.
    type: int
    default: 0
  group:
    description: Name of the group that may read the key, instead of O(gid).
    type: str
  days:
    description: Days that a new certificate is valid.
    type: int
    default: 365
  renew_before_days:
    description: A certificate that ends sooner than this many days from now is replaced.
    type: int
    default: 30
  trusted_directory:
    description:
      - Where a trusted certificate may be kept that is served in this one's place. Created if
        missing; the group may read in it.
    type: path
attributes:
  check_mode:
    description: Tells whether a certificate would be made, and why.
    support: full
  diff_mode:
    description: RV(reason) says it.
    support: none
"""

EXAMPLES = r"""
- name: Keep a certificate for the host's address
  labstack.stack.self_signed_certificate:
    directory: /etc/labstack/tls
    address: "{{ ansible_host }}"
    gid: 10001
"""

RETURN = r"""
reason:
  description: Why a certificate is (would be) made; empty when the one there is stays.
  returned: success
  type: str
trusted:
  description: Whether somebody keeps a trusted certificate in O(trusted_directory).
  returned: success
  type: bool
certificate:
  description: The certificate in PEM; empty for one that check mode would make.
  returned: success
  type: str
version:
  description:
    - A text that changes with the certificate; C("0") for one that check mode would make.
  returned: success
  type: str
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.certificates import (
    CERTIFICATE,
    DAY_S,
    KEY,
    CertificateError,
    fault,
    is_ip,
    openssl,
)
from ..module_utils.host_files import (
    Attributes,
    account_number,
    make_directory,
    replace,
    sweep,
    temporary_path,
    write_new,
)

DNS_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", re.ASCII)
# A leaf that no other certificate can be signed with.
CONFIGURATION = """\
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = {name}
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {kind}:{address}
"""


def make(command: str, directory: Path, address: str, days: int, gid: int) -> None:
    """Make key and certificate, and give both their places.

    Killed between the two, the next run sees that they do not belong together.

    Raises:
        CertificateError: the address is neither an IP address nor a DNS name, or openssl failed.
        OSError: they cannot be written.
    """
    kind = "IP" if is_ip(address) else "DNS"
    if kind == "DNS" and not DNS_NAME.fullmatch(address):
        raise CertificateError("that is no address")
    work = temporary_path(directory)
    work.mkdir(mode=0o700)
    try:
        # A common name has at most 64 characters, and nobody reads it: the address is below.
        settings = CONFIGURATION.format(name="labstack", kind=kind, address=address)
        write_new(work / "req.cnf", [settings.encode()], Attributes.own(0o600))
        made = openssl(
            command, "req", "-x509", "-config", str(work / "req.cnf"), "-days", str(days), "-nodes",
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-keyout", str(work / KEY), "-out", str(work / CERTIFICATE),
        )  # fmt: skip
        if made.returncode:
            raise CertificateError(made.stderr.strip() or made.stdout.strip())
        for name, mode in ((KEY, 0o440), (CERTIFICATE, 0o444)):
            path = work / name
            Attributes(os.geteuid(), gid, mode).apply(path)
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            replace(path, directory / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def settle(directory: Path, gid: int, apply: bool) -> bool:
    """Put owners and modes right; return whether (they would be) changed. Raises OSError."""
    changed = False
    for path, mode in (
        (directory, 0o750),
        (directory / KEY, 0o440),
        (directory / CERTIFICATE, 0o444),
    ):
        wanted = Attributes(os.geteuid(), gid, mode)
        if Attributes.of(path.stat()) != wanted:
            changed = True
            if apply:
                wanted.apply(path)
    return changed


def keep_directory(path: Path, gid: int, apply: bool) -> bool:
    """Have a directory that the group may read in; return whether it changes. Raises OSError."""
    wanted = Attributes(os.geteuid(), gid, 0o750)
    there = path.is_dir()
    if there and Attributes.of(path.stat()) == wanted:
        return False
    if apply and there:
        wanted.apply(path)
    elif apply:
        make_directory(path, wanted)
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "address": {"required": True},
            "gid": {"type": "int", "default": 0},
            "group": {"type": "str"},
            "days": {"type": "int", "default": 365},
            "renew_before_days": {"type": "int", "default": 30},
            "trusted_directory": {"type": "path"},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    address, trusted = module.params["address"], module.params["trusted_directory"]
    command = module.get_bin_path("openssl")
    if command is None and not module.check_mode:
        module.fail_json(
            msg="The certificate needs the openssl command, and the host has none. "
            "Next: sudo apt-get install openssl"
        )
    try:
        gid = module.params["gid"]
        if module.params["group"]:
            gid = account_number(module.params["group"], "group", module.check_mode)
        wait = module.params["renew_before_days"] * DAY_S
        reason = fault(command, directory, address, wait) if command else "there is no openssl yet"
        changed = bool(reason)
        if command and reason and not module.check_mode:
            if not directory.is_dir():
                make_directory(directory, Attributes(os.geteuid(), gid, 0o750))
            sweep(directory)
            make(command, directory, address, module.params["days"], gid)
        if not (reason and module.check_mode):
            changed |= settle(directory, gid, apply=not module.check_mode)
        if trusted:
            changed |= keep_directory(Path(trusted), gid, apply=not module.check_mode)
        would_be_new = bool(reason) and module.check_mode
        module.exit_json(
            changed=changed,
            reason=reason,
            certificate="" if would_be_new else (directory / CERTIFICATE).read_text(),
            trusted=bool(trusted) and (Path(trusted) / "webroot").is_dir(),
            version="0" if would_be_new else str((directory / CERTIFICATE).stat().st_mtime_ns),
        )
    except (CertificateError, LookupError, OSError, subprocess.TimeoutExpired) as error:
        module.fail_json(
            msg=f"No certificate for {address!r} in {directory}: {error}. The address "
            "(webapp_address, prometheus_tls_address, node_exporter_tls_address) must be an IP "
            "address or a DNS name, for example 203.0.113.7 or lab.example.org."
        )


if __name__ == "__main__":
    main()
