"""The swap file on a converged host; all but its use, which a container's kernel refuses."""

from __future__ import annotations

from testinfra.host import Host

SIZE = 64 * 1024 * 1024


def test_the_file_is_a_swap_file_that_only_root_reads(host: Host) -> None:
    file = host.file("/swapfile")
    assert (file.user, file.mode, file.size) == ("root", 0o600, SIZE)
    assert "swap" in host.check_output("blkid -p -s TYPE /swapfile")


def test_it_has_no_holes(host: Host) -> None:
    assert int(host.check_output("stat -c %b /swapfile")) * 512 >= SIZE


def test_it_is_used_after_a_boot(host: Host) -> None:
    assert "/swapfile none swap sw 0 0" in host.file("/etc/fstab").content_string.splitlines()


def test_nothing_is_left_beside_it(host: Host) -> None:
    assert host.check_output("find / -maxdepth 1 -name '.labstack*'") == ""
