"""What can be wrong with a backup: each is told, nothing is lost, and the next run is right."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from cli import backup as cli
from tests.backup.conftest import PROGRAM, Place


def flip(path: Path) -> None:
    """Flips one bit in the middle of a file."""
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_backup_is_whole_listed_and_brings_a_secret_back(saved: Place) -> None:
    (one,) = saved.does("list")["backups"]
    assert one["checked"]
    assert one["by"] == "test"
    assert one["size"] > 2_000_000
    metrics = (saved.root / "textfile" / "backup.prom").read_text()
    assert "backup_success 1\n" in metrics
    saved.restores()


def test_1_a_wrong_key(saved: Place) -> None:
    store = saved.store
    (store / "key").unlink()
    text = saved.refuses("prepare", "--store", store.name, "--key-on-stdin", text="wrong\n")
    assert "the key does not open these backups" in text
    assert saved.secret("webapp_secret_key").read_text() == "first"
    # The right one afterwards.
    saved.does("prepare", "--store", store.name, "--key-on-stdin", text="k" * 32 + "\n")


def test_2_no_key_at_all(saved: Place) -> None:
    (saved.store / "key").unlink()
    assert "LAB_BACKUP_KEY" in saved.refuses("prepare", "--store", saved.store.name)


def test_3_one_flipped_bit(saved: Place) -> None:
    flip(saved.largest())
    saved.secret("webapp_secret_key").write_text("of now")
    assert "a bit has changed" in saved.refuses("prepare")
    assert saved.secret("webapp_secret_key").read_text() == "of now"
    assert saved.refuses("verify")


def test_4_a_truncated_file(saved: Place) -> None:
    path = saved.largest()
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size // 2)
    assert saved.refuses("prepare")
    assert saved.refuses("verify")


def test_5_a_missing_file(saved: Place) -> None:
    saved.largest().unlink()
    assert "a part of it is missing" in saved.refuses("prepare")


def test_6_a_missing_index(saved: Place) -> None:
    saved.largest("index").unlink()
    assert "missing" in saved.refuses("prepare")


def test_7_a_store_that_was_copied_in_part(saved: Place) -> None:
    (saved.store / "restic" / "config").unlink()
    assert "not copied to its end" in saved.refuses("prepare", "--store", saved.store.name)


def test_8_an_id_that_is_none(saved: Place) -> None:
    text = saved.refuses("prepare", "--id", "20200101-000000")
    assert "there is no backup 20200101-000000" in text


def test_9_a_snapshot_that_was_cut_short(saved: Place) -> None:
    """As a killed backup may leave: restic has a whole stream, which is no whole archive."""
    environment = {
        **os.environ,
        "RESTIC_REPOSITORY": str(saved.store / "restic"),
        "RESTIC_PASSWORD_FILE": str(saved.store / "key"),
    }
    cut = ["restic", "backup", "-q", "--stdin", "--stdin-filename", "labstack.tar"]
    cut += ["--tag", "id:20300101-000000"]
    subprocess.run(cut, input=b"half of it", env=environment, check=True)
    assert "cut short" in saved.refuses("prepare", "--id", "20300101-000000")
    # It is not the newest, and goes with the next backup.
    saved.restores()
    saved.does("save")
    assert "no backup 20300101" in saved.refuses("prepare", "--id", "20300101-000000")


def test_10_a_full_disk(saved: Place) -> None:
    saved.write(disk_min_mb=10**9)
    assert "(backup_disk_min_mb)" in saved.refuses("save")
    assert "MB of free disk" in saved.refuses("prepare")
    metrics = (saved.root / "textfile" / "backup.prom").read_text()
    assert "backup_success 0\n" in metrics
    saved.write(disk_min_mb=1)
    saved.restores()


def test_11_a_target_that_is_not_there(saved: Place) -> None:
    saved.write(targets={"s3": {"repository": "rest:http://127.0.0.1:9/"}})
    text = saved.refuses("save")
    assert "it did not reach s3" in text
    assert len(saved.backups) == 2
    metrics = (saved.root / "textfile" / "backup.prom").read_text()
    assert 'backup_target_up{target="s3"} 0\n' in metrics
    assert 'backup_target_up{target="local"} 1\n' in metrics


def test_12_a_target_that_vanishes_gets_what_it_missed(saved: Place) -> None:
    other = saved.root / "elsewhere"
    saved.write(targets={"disk": {"repository": str(other)}})
    saved.does("save")
    other.rename(other.with_name("away"))
    other.write_text("a file where a directory was")
    saved.refuses("save")
    other.unlink()
    other.with_name("away").rename(other)
    saved.does("save")
    metrics = (saved.root / "textfile" / "backup.prom").read_text()
    assert 'backup_target_up{target="disk"} 1\n' in metrics
    snapshots = subprocess.run(
        ["restic", "-r", str(other), "snapshots", "--json"],
        env={**os.environ, "RESTIC_PASSWORD_FILE": str(saved.store / "key")},
        check=True,
        capture_output=True,
    )
    assert len(json.loads(snapshots.stdout)) == len(saved.backups) == 4


def test_13_a_target_that_nobody_has_named(saved: Place) -> None:
    assert "backup_targets has no 's4'" in saved.refuses("prepare", "--target", "s4")


def test_14_everything_gone_but_a_target(saved: Place) -> None:
    saved.write(targets={"disk": {"repository": str(saved.root / "elsewhere")}})
    saved.does("save")
    shutil.rmtree(saved.root / "backup")
    saved.secret("webapp_secret_key").write_text("of a new host")
    saved.secret("backup_key").write_text("another key of the new host")
    wrong = saved.refuses("prepare", "--target", "disk", "--key-on-stdin", text="wrong\n")
    assert "the key does not open" in wrong
    saved.does("prepare", "--target", "disk", "--key-on-stdin", text="k" * 32 + "\n")
    assert saved.secret("webapp_secret_key").read_text() == "first"
    assert saved.secret("backup_key").read_text().strip() == "k" * 32


def test_15_a_broken_database_of_grafana(saved: Place) -> None:
    (saved.root / "grafana" / "grafana.db").write_text("no database")
    assert "Grafana's database" in saved.refuses("save")
    assert len(saved.backups) == 1
    saved.restores()


def test_16_another_key_in_the_secrets(saved: Place) -> None:
    saved.secret("backup_key").write_text("n" * 32)
    saved.does("save")
    assert len(saved.backups) == 2
    assert (saved.store / "key").read_text().strip() == "n" * 32


def test_17_no_key_in_the_secrets(place: Place) -> None:
    place.secret("backup_key").unlink()
    assert "no key for the backups" in place.refuses("save")


def test_18_no_restic(saved: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    python = str(Path(saved.command()[0]).parent)
    monkeypatch.setenv("PATH", python)
    assert "restic is missing on this host" in saved.refuses("save")


def test_19_settings_that_are_not_there(place: Place) -> None:
    place.file.unlink()
    assert "no backups here" in place.refuses("list")


def test_20_a_lock_that_a_killed_restic_left(saved: Place) -> None:
    locks = saved.store / "restic" / "locks"
    before = set(locks.iterdir())
    process = subprocess.Popen(saved.command("save"), stdout=subprocess.PIPE)
    while process.poll() is None and not set(locks.iterdir()) - before:
        pass
    process.kill()
    process.wait()
    saved.does("save")


def test_the_controllers_copy_is_checked_without_restic(saved: Place) -> None:
    assert cli.damaged(saved.store) == []
    flip(saved.largest())
    assert cli.damaged(saved.store) == [saved.largest()]


@pytest.mark.parametrize("number", range(10))
def test_killed_at_any_moment_nothing_is_lost_and_the_next_is_right(
    saved: Place, number: int
) -> None:
    before = saved.backups
    moment = random.Random(number).uniform(0.05, 3)  # noqa: S311 - no secret
    saved.kill("save", after=moment)
    assert set(before) <= set(saved.backups)
    saved.restores()
    saved.does("save")
    saved.does("verify")
    for one in saved.does("list")["backups"]:
        saved.does("prepare", "--id", one["id"])


@pytest.mark.parametrize("number", range(3))
def test_a_killed_restore_can_be_run_again(saved: Place, number: int) -> None:
    saved.kill("prepare", after=random.Random(number).uniform(0.05, 2))  # noqa: S311 - no secret
    assert saved.secret("webapp_secret_key").read_text() == "first"
    saved.restores()


def test_retention_keeps_the_last_and_forgets_their_notes(saved: Place) -> None:
    saved.write(keep={"hourly": 1, "daily": 1, "weekly": 1})
    for _ in range(7):
        saved.does("save")
    assert len(saved.backups) == 6
    saved.restores()


def test_the_program_is_its_own(tmp_path: Path) -> None:
    """As the host runs it: isolated, without site-packages."""
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-S", "-B", str(PROGRAM), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "save" in done.stdout
