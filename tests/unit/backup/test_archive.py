"""The archive: what its reader refuses, and what the sums of a dump are made of."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backup.program import archive, common

DUMP = b"""-- MySQL dump
/*!40101 SET NAMES utf8mb4 */;

--
-- Table structure for table `products`
--

DROP TABLE IF EXISTS `products`;
CREATE TABLE `products` (
  `id` int NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=%d DEFAULT CHARSET=utf8mb4;

--
-- Dumping data for table `products`
--

LOCK TABLES `products` WRITE;
INSERT INTO `products` VALUES (1,'a),(b'),(2,'it\\'s ),( here'),(3,'back\\\\'),(4,_binary 'x),(y');
INSERT INTO `products` VALUES (5,NULL);
UNLOCK TABLES;

--
-- Table structure for table `empty`
--

CREATE TABLE `empty` (
  `id` int NOT NULL
) ENGINE=InnoDB;
-- Dump completed
"""


def tables(text: bytes, step: int = 1 << 20) -> dict[str, dict[str, Any]]:
    found = archive.Tables()
    for begin in range(0, len(text), step):
        found.feed(text[begin : begin + step])
    result: dict[str, dict[str, Any]] = found.close()
    return result


def written(dump: bytes = DUMP % 6) -> tuple[bytes, dict[str, Any]]:
    """Return an archive and its manifest."""
    stream = io.BytesIO()
    writer = archive.Writer(stream, {"id": "20261130-120000"})
    writer.file("secrets/backup_key", b"secret", 0o440, (0, 10001))
    writer.dump("mysql/webapp/webapp/tables", io.BytesIO(dump))
    manifest = writer.close()
    return stream.getvalue(), manifest


def test_rows_are_counted_whatever_their_texts_say() -> None:
    assert {name: row["rows"] for name, row in tables(DUMP % 6).items()} == {
        "products": 5,
        "empty": 0,
    }


@pytest.mark.parametrize("step", [1, 7, 64])
def test_where_a_dump_is_cut_does_not_count(step: int) -> None:
    assert tables(DUMP % 6, step) == tables(DUMP % 6)


def test_the_next_automatic_number_does_not_count_and_a_value_does() -> None:
    assert tables(DUMP % 6) == tables(DUMP % 7)
    assert (
        tables(DUMP % 6)["products"]
        != tables((DUMP % 6).replace(b"(5,NULL)", b"(5,'')"))["products"]
    )


def test_what_was_written_is_read() -> None:
    content, manifest = written()
    secrets: dict[str, bytes] = {}
    assert archive.check(io.BytesIO(content), secrets.__setitem__) == manifest
    assert secrets == {"secrets/backup_key": b"secret"}
    assert manifest["rows"] == 5
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert (
            tar.getmember("secrets/backup_key").mode,
            tar.getmember("secrets/backup_key").gid,
        ) == (
            0o440,
            10001,
        )


def test_a_long_dump_comes_in_parts_and_counts_as_one() -> None:
    rows = b"".join(b"INSERT INTO `t` VALUES (%d,'%s');\n" % (n, b"x" * 1000) for n in range(9000))
    content, manifest = written(b"-- Table structure for table `t`\n" + rows)
    assert manifest["databases"]["mysql/webapp/webapp/tables"]["t"]["rows"] == 9000
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert len([name for name in tar.getnames() if name.endswith(".sql")]) == 3
    assert archive.check(io.BytesIO(content)) == manifest


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.999])
def test_an_archive_that_is_cut_short_is_refused(left: float) -> None:
    content, _ = written()
    end = content.index(b'"format"')
    with pytest.raises(common.FailureError, match=r"cut short|damaged"):
        archive.check(io.BytesIO(content[: int(end * left)]))


@pytest.mark.parametrize("inside", [b"secret", b"(5,NULL)", b"CREATE TABLE"])
def test_one_flipped_bit_is_found(inside: bytes) -> None:
    content, _ = written()
    place = content.index(inside, content.index(inside) + (1 if inside == b"secret" else 0))
    flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    with pytest.raises(common.FailureError, match=r"not what its manifest says|damaged"):
        archive.check(io.BytesIO(flipped))


def test_an_archive_of_a_newer_program_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(archive, "FORMAT", 2)
        content, _ = written()
    with pytest.raises(common.FailureError, match=r"has format 2, this program knows 1"):
        archive.check(io.BytesIO(content))


def test_something_that_is_missing_is_named() -> None:
    stream = io.BytesIO()
    writer = archive.Writer(stream, {})
    writer.entries["grafana/grafana.db"] = "0" * 64
    writer.close()
    with pytest.raises(common.FailureError, match=r"grafana/grafana.db"):
        archive.check(io.BytesIO(stream.getvalue()))


def kept(stream: io.BytesIO) -> dict[str, bytes]:
    """Return the files of an archive, read as a restore reads them."""
    stream.seek(0)
    return {
        info.name: content.read()
        for info, content in archive.entries(stream)
        if content is not None and info.name != archive.MANIFEST
    }


def test_both_names_of_a_hard_linked_file_have_its_content(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("content")
    os.link(tmp_path / "one", tmp_path / "two")
    stream = io.BytesIO()
    writer = archive.Writer(stream, {})
    writer.tree("volumes/v", tmp_path)
    manifest = writer.close()
    assert kept(stream) == {"volumes/v/one": b"content", "volumes/v/two": b"content"}
    assert archive.check(io.BytesIO(stream.getvalue())) == manifest


@pytest.mark.parametrize("moment", ["gettarinfo", "open"])
def test_a_file_that_vanishes_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    for name in ("a", "gone", "z"):
        (tmp_path / name).write_text(name)
    owner = tarfile.TarFile if moment == "gettarinfo" else Path
    real: Any = getattr(owner, moment)

    def meanwhile(self: Any, *given: Any, **named: Any) -> Any:
        (tmp_path / "gone").unlink(missing_ok=True)
        return real(self, *given, **named)

    stream = io.BytesIO()
    writer = archive.Writer(stream, {})
    names = iter(sorted(tmp_path.iterdir()))
    writer.tree("volumes/v/a", next(names))
    with monkeypatch.context() as racing:
        racing.setattr(owner, moment, meanwhile)
        writer.tree("volumes/v/gone", next(names))
    writer.tree("volumes/v/z", next(names))
    manifest = writer.close()
    assert kept(stream) == {"volumes/v/a": b"a", "volumes/v/z": b"z"}
    assert manifest["skipped"] == [f"{tmp_path}/gone is not there"]


def test_a_volume_that_is_not_there_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    stream = io.BytesIO()
    writer = archive.Writer(stream, {})
    writer.tree("volumes/none", tmp_path / "none")
    writer.tree("volumes/there", tmp_path / "there")
    assert writer.close()["skipped"] == [f"{tmp_path}/none is not there"]
    assert kept(stream) == {"volumes/there": b"x"}


def test_a_file_that_becomes_shorter_is_filled_up_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"x" * 100_000)
    real = Path.open

    def shorter(self: Path, *given: Any, **named: Any) -> Any:
        os.truncate(self, 10)
        return real(self, *given, **named)

    stream = io.BytesIO()
    writer = archive.Writer(stream, {})
    with monkeypatch.context() as racing:
        racing.setattr(Path, "open", shorter)
        writer.tree("volumes/v/log", file)
    manifest = writer.close()
    assert kept(stream) == {"volumes/v/log": b"x" * 10 + b"\0" * 99_990}
    assert archive.check(io.BytesIO(stream.getvalue())) == manifest
    assert manifest["skipped"] == [f"{file} became shorter while it was read"]
