"""The timer's backup on the host (roles/backup); what damages one: tests/backup."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

UNIT = "labstack-backup.service"
METRICS = "/var/lib/node_exporter/textfile/backup.prom"
SOONER = f"/run/systemd/system/{UNIT}.d/sooner.conf"


@pytest.fixture
def _sooner(host: Host) -> Iterator[None]:
    """The unit as it is, except that it waits for 5 seconds where it waits for minutes.

    Its timer rests meanwhile: it may start the unit at any moment, too.
    """
    host.check_output(
        "systemctl stop labstack-backup.timer && "
        f"mkdir -p $(dirname {SOONER}) && "
        f"printf '[Service]\\nRestartSec=5\\n' >{SOONER} && systemctl daemon-reload"
    )
    yield
    host.check_output(
        f"rm -r $(dirname {SOONER}) && systemctl daemon-reload && "
        "systemctl start labstack-backup.timer"
    )


@pytest.mark.usefixtures("_sooner")
def test_a_backup_that_met_a_stopped_database_is_made_a_little_later(host: Host) -> None:
    """A run of site.yml that makes the database's container anew may meet the timer's hour."""
    # Not there before the first backup.
    before = host.run(f"cat {METRICS}").stdout
    host.check_output("docker stop webapp-mysql-1")
    try:
        assert host.run(f"systemctl start {UNIT}").rc != 0
    finally:
        host.check_output("docker start webapp-mysql-1")
    until = time.monotonic() + 90
    while host.check_output(f"systemctl show --value -p Result,ActiveState {UNIT}").split() != [
        "success",
        "inactive",
    ]:
        assert time.monotonic() < until, host.check_output(f"journalctl -n 30 -u {UNIT}")
        time.sleep(2)
    after = host.check_output(f"cat {METRICS}")
    assert "\nbackup_success 1\n" in after
    assert after != before
