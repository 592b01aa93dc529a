"""Fixtures of tests that look at a host with testinfra; a conftest.py beside them imports them."""

from __future__ import annotations

import pytest
from testinfra.host import Host


@pytest.fixture(scope="module")
def address(host: Host) -> str:
    """The address by which others reach the host; `hostname -I` names Docker's bridges too."""
    route = str(host.check_output("ip -4 route get 192.0.2.1"))
    return route.split(" src ")[1].split(maxsplit=1)[0]


@pytest.fixture(scope="module")
def admin_password(host: Host) -> str:
    """The password of the web application's account `admin`."""
    return str(host.file("/etc/labstack/secrets/webapp_admin_password").content_string).strip()
