"""Every scenario's tests show the host's last words when they fail."""

from tests.evidence import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]
