"""What every scenario's tests share: fixtures, and the host's last words when one fails."""

from tests.evidence import pytest_runtest_makereport
from tests.on_host import address, admin_password

__all__ = ["address", "admin_password", "pytest_runtest_makereport"]
