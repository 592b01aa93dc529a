from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from testbed.images import Recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/run").write_text("#!/bin/sh\n")
    return tmp_path


def test_the_same_recipe_has_the_same_reference(folder: Path) -> None:
    assert Recipe("x", folder, {"A": "1"}).reference == Recipe("x", folder, {"A": "1"}).reference


def test_everything_that_goes_in_changes_the_reference(folder: Path) -> None:
    references = {Recipe("x", folder).reference, Recipe("x", folder, {"A": "1"}).reference}
    references.add(Recipe("x", folder, {"A": "2"}).reference)
    references.add(Recipe("x", folder, {}, {"ca.crt": b"1"}).reference)
    references.add(Recipe("x", folder, {}, {"ca.crt": b"2"}).reference)
    (folder / "files/run").chmod(0o755)
    references.add(Recipe("x", folder).reference)
    (folder / "files/run").write_text("#!/bin/sh\nexit\n")
    references.add(Recipe("x", folder).reference)
    (folder / "files/run").rename(folder / "files/walk")
    references.add(Recipe("x", folder).reference)
    assert len(references) == 8


def test_what_python_leaves_behind_changes_nothing(folder: Path) -> None:
    before = Recipe("x", folder).reference
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/a.pyc").write_bytes(b"1")
    assert Recipe("x", folder).reference == before


def test_the_context_has_the_folder_and_the_extra_files(folder: Path) -> None:
    context = Recipe("x", folder, {}, {"ca.crt": b"PEM"}).context()
    with tarfile.open(fileobj=io.BytesIO(context.read())) as archive:
        assert sorted(archive.getnames()) == ["Dockerfile", "ca.crt", "files/run"]
        member = archive.extractfile("ca.crt")
        assert member
        assert member.read() == b"PEM"
