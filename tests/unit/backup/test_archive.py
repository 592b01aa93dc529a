"""The archive: what its reader refuses, and what the sums of a dump are made of."""

from __future__ import annotations

import io
import tarfile
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
