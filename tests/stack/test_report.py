"""The report of the whole stack: made as a user makes it, and kept in .lab/test/report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pypdf import PdfReader

from tests.ask import ask
from tests.browser.chromium import executable

if TYPE_CHECKING:
    from testinfra.host import Host

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".lab" / "test" / "report"
PICTURES = {
    "page-desktop",
    "page-phone",
    "product-form",
    "product-added",
    "node-exporter",
}


def make(host: Host, language: str, *options: str) -> Path:
    """Make the report of the host; return its folder."""
    # labstack-molecule-stack-ec2: the lab's name stands in the middle.
    name = str(host.backend.get_hostname())
    (lab,) = re.findall(r"^labstack-(.+)-ec2$", name)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")
    }
    environment |= {"LABSTACK_LAB": lab, "LAB_CHROMIUM": executable()}
    folder = KEPT / language
    directory = json.dumps({"report_directory": str(folder)})
    done = subprocess.run(
        [sys.executable, "-m", "cli", "report", "--language", language, *options, "-e", directory],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(folder / name / "report.html") in done.stdout
    return folder / name


@pytest.fixture(scope="module")
def reports(host: Host) -> dict[str, Path]:
    """The folders of both reports; a second run of site.yml comes before them."""
    # The timer's hour may have met a test that stops the database.
    host.check_output("systemctl start labstack-backup.service")
    return {"es": make(host, "es"), "en": make(host, "en", "--no-run")}


@pytest.fixture(scope="module")
def document(reports: dict[str, Path]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((reports["es"] / "report.json").read_text(encoding="utf-8"))
    return found


def test_everything_was_looked_at_and_holds(document: dict[str, Any]) -> None:
    assert document["missing"] == []
    points = {point["point"]: point["holds"] for point in document["summary"]}
    # Which alerts fire depends on how busy this machine is.
    assert points.pop("alerts") is not None
    assert [unit for unit in document["units"] if not unit["holds"]] == []
    assert [name for name, holds in points.items() if holds is not True] == []
    assert document["run"]["changed"] == 0


def test_each_picture_is_there(document: dict[str, Any], reports: dict[str, Path]) -> None:
    names = {picture["name"] for picture in document["pictures"]}
    assert names >= PICTURES
    # Debian's Prometheus has no pages.
    pages = {"prometheus-targets", "prometheus-rules"}
    assert names >= pages or "prometheus" in document["stand_ins"]
    dashboards = {f"grafana-{f.stem}" for f in (ROOT / "roles/grafana/files/dashboards").iterdir()}
    assert names >= dashboards
    for folder in reports.values():
        for picture in document["pictures"]:
            assert (folder / picture["file"]).read_bytes().startswith(b"\x89PNG")
        plots = sorted(path.name for path in (folder / "pictures").glob("*.svg"))
        assert plots == ["plot-cpu.svg", "plot-disk.svg", "plot-memory.svg"]


def test_the_metrics_have_values(document: dict[str, Any]) -> None:
    for metric in document["metrics"]:
        assert 0 <= metric["value"] <= 100
        assert len(metric["points"]) > 1


def test_the_stand_in_for_grafana_is_called_one(reports: dict[str, Path]) -> None:
    assert "sustituto" in (reports["es"] / "report.html").read_text(encoding="utf-8")
    assert "stand-in" in (reports["en"] / "report.html").read_text(encoding="utf-8")


def test_the_pdf_has_the_report(reports: dict[str, Path]) -> None:
    for language, word in (("es", "Resumen"), ("en", "Summary")):
        reader = PdfReader(reports[language] / "report.pdf")
        assert word in reader.pages[0].extract_text()
        assert reader.outline


@pytest.mark.parametrize("name", ["Prueba", "Evidence"])
def test_the_product_is_gone(name: str, document: dict[str, Any]) -> None:
    answer = ask(f"http://{document['host']['address']}/api/products?q={name}")
    assert answer.status == 200, answer.body
    assert answer.json()["items"] == []


class Texts(HTMLParser):
    """Notes each text of a page that is not shown as one: alternatives, labels, titles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [v for k, v in attrs if v and k in ("alt", "title", "aria-label")]


def test_no_secret_is_in_any_file_or_alternative_text(host: Host, reports: dict[str, Path]) -> None:
    secrets = host.check_output("grep -rh . /etc/labstack/secrets").splitlines()
    assert len(secrets) >= 7
    for folder in reports.values():
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            text = path.read_bytes().decode("utf-8", errors="replace")
            if path.suffix == ".pdf":
                text = "".join(page.extract_text() for page in PdfReader(path).pages)
                text = "".join(text.split())
            if path.suffix == ".html":
                texts = Texts()
                texts.feed(text)
                assert texts.found
                text += "\n".join(texts.found)
            assert text
            assert [number for number, secret in enumerate(secrets) if secret in text] == [], path


def test_the_manifest_is_true(reports: dict[str, Path]) -> None:
    for folder in reports.values():
        subprocess.run(
            ["sha256sum", "--check", "--strict", "--quiet", "sha256sums.txt"],
            cwd=folder,
            check=True,
        )
