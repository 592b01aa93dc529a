"""The module swap_file, on files in a directory, with stand-ins for swapon and its like."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from ansible_collections.labstack.stack.plugins.modules import swap_file

SIZE = 64 * 1024
PATH = "/swapfile"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> swap_file.Host:
    """Return a host whose swapon and swapoff write proc/swaps, as the kernel would."""
    for name in ("etc", "proc/sys/vm", "bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/fstab").write_text("LABEL=root / ext4 defaults 0 1\n")
    (tmp_path / "proc/sys/vm/swappiness").write_text("60\n")
    swaps = tmp_path / "proc/swaps"
    swaps.write_text("Filename Type Size Used Priority\n")
    calls = tmp_path / "calls"
    for command, effect in (
        ("mkswap", 'test -s "$1"'),
        ("swapon", f'echo "$1 file 64 0 -2" >> {swaps}'),
        ("swapoff", f"sed -i '2,$d' {swaps}"),
    ):
        program = tmp_path / "bin" / command
        program.write_text(f'#!/bin/sh\necho "{command} $1" >> {calls}\n{effect}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return swap_file.Host(tmp_path, PATH)


def converge(host: swap_file.Host, size: int = SIZE, check: bool = False) -> list[str]:
    return swap_file.converge(host, size, 10, check)


def calls(host: swap_file.Host) -> list[str]:
    path = host.root / "calls"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def test_a_host_without_swap_gets_it(host: swap_file.Host) -> None:
    assert converge(host) == ["made", "listed", "used", "set"]
    assert host.file.stat().st_size == SIZE
    assert stat.S_IMODE(host.file.stat().st_mode) == 0o600
    assert host.fstab.read_text().splitlines() == [
        "LABEL=root / ext4 defaults 0 1",
        "/swapfile none swap sw 0 0",
    ]
    assert host.in_use()
    assert host.swappiness() == 10
    assert (host.root / swap_file.SYSCTL).read_text() == "vm.swappiness = 10\n"


def test_the_file_has_blocks_and_no_holes(host: swap_file.Host) -> None:
    converge(host)
    assert host.file.stat().st_blocks * 512 >= SIZE


def test_what_is_right_is_left_alone(host: swap_file.Host) -> None:
    converge(host)
    before = calls(host)
    assert converge(host) == []
    assert calls(host) == before


def test_another_size_makes_it_anew(host: swap_file.Host) -> None:
    converge(host)
    assert converge(host, 2 * SIZE) == ["made", "used"]
    assert host.file.stat().st_size == 2 * SIZE
    assert calls(host)[-3:] == ["mkswap", "swapoff", "swapon"]


def test_after_a_boot_without_it_it_is_used_again(host: swap_file.Host) -> None:
    converge(host)
    (host.root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
    assert converge(host) == ["used"]


def test_none_removes_it(host: swap_file.Host) -> None:
    converge(host)
    assert converge(host, 0) == ["removed", "unlisted"]
    assert not host.file.exists()
    assert not host.in_use()
    assert host.fstab.read_text() == "LABEL=root / ext4 defaults 0 1\n"
    assert converge(host, 0) == []


def test_check_mode_tells_and_does_nothing(host: swap_file.Host) -> None:
    assert converge(host, check=True) == ["made", "listed", "used", "set"]
    assert not host.file.exists()
    assert calls(host) == []


def test_a_run_killed_before_mkswap_is_healed(host: swap_file.Host) -> None:
    (host.root / ".labstack-new-swapfile").write_bytes(b"half")
    assert converge(host)[0] == "made"
    assert not (host.root / ".labstack-new-swapfile").exists()


def test_a_kernel_that_refuses_is_quoted(host: swap_file.Host) -> None:
    (host.root / "bin/swapon").write_text("#!/bin/sh\necho 'Invalid argument' >&2\nexit 255\n")
    with pytest.raises(swap_file.SwapError, match=r"Invalid argument.*swap_size"):
        converge(host)


def test_a_full_disk_is_refused_before_anything_is_written(
    host: swap_file.Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": SIZE})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    with pytest.raises(swap_file.SwapError, match="make room"):
        converge(host)
    assert not host.file.exists()


def test_a_host_that_cannot_have_another_size_keeps_its_swap(
    host: swap_file.Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    converge(host)
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(SIZE, SIZE, 0))
    with pytest.raises(swap_file.SwapError, match="make room"):
        converge(host, 2 * SIZE)
    assert host.in_use()
    assert host.size() == SIZE
    monkeypatch.undo()


def test_swap_that_cannot_be_given_up_stays(host: swap_file.Host) -> None:
    converge(host)
    swapoff = host.root / "bin/swapoff"
    swapoff.write_text("#!/bin/sh\necho Cannot allocate memory >&2\nexit 255\n")
    with pytest.raises(swap_file.SwapError, match="Cannot allocate memory"):
        converge(host, 2 * SIZE)
    assert host.in_use()
    assert host.size() == SIZE
    assert [path.name for path in host.root.iterdir() if "labstack" in path.name] == []
