"""The module grafana_dashboard, against a web server on the loopback."""

from __future__ import annotations

import hashlib
import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import grafana_dashboard

from tests.unit.conftest import RunKilled, RunModule

NODE = {
    "id": 12,
    "uid": "rYdddlPWk",
    "title": "Node Exporter Full",
    "__requires": [{"type": "grafana"}],
    "templating": {
        "list": [
            {"name": "ds_prometheus", "type": "datasource", "query": "prometheus", "current": {}},
            {"name": "logs", "type": "datasource", "query": "loki", "current": {}},
            {"name": "job", "type": "query", "query": "prometheus", "current": {}},
        ]
    },
    "panels": [{"datasource": {"type": "prometheus", "uid": "${ds_prometheus}"}}],
}
OURS = '{\n "uid": "ours", "title": "Uso de CPU"\n}\n'


class Upstream(ThreadingHTTPServer):
    """grafana.com: dashboards by id and revision, and failures to come first."""

    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.failures: list[int] = []
        self.cut = 0
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), UpstreamHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def offer(self, number: int, document: Any, revision: int = 1) -> dict[str, Any]:
        """Serve a dashboard; return the entry that asks for it."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.bodies[f"/api/dashboards/{number}/revisions/{revision}/download"] = body
        digest = hashlib.sha256(body).hexdigest()
        return {"id": number, "revision": revision, "sha256": digest}


class UpstreamHandler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if self.server.failures:
            self.send_error(self.server.failures.pop(0))
        elif self.path not in self.server.bodies:
            self.send_error(404)
        else:
            body = self.server.bodies[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - self.server.cut])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grafana_dashboard, "_RETRY_PAUSES", (0, 0, 0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "dashboards"
    path.mkdir()
    return path


def options(upstream: Upstream, folder: Path, *entries: Any, **others: Any) -> dict[str, Any]:
    return {
        "directory": str(folder),
        "base_url": upstream.url,
        "dashboards": list(entries),
        "datasource_uid": "prometheus",
        **others,
    }


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


# --- What it is for ---------------------------------------------------------------------------


def test_dashboards_arrive_prepared(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    entry = upstream.offer(1860, NODE)
    result = run_module(grafana_dashboard.main, options(upstream, folder, entry, contents=[OURS]))
    assert result["changed"] is True
    assert sorted(result["uids"]) == ["ours", "rYdddlPWk"]
    assert visible(folder) == {"grafana-com-1860.json", "ours.json"}
    assert (folder / "ours.json").read_text() == OURS
    prepared = load(folder, "grafana-com-1860.json")
    assert "id" not in prepared
    assert "__requires" not in prepared
    ours, others = prepared["templating"]["list"][0], prepared["templating"]["list"][1:]
    assert (ours["current"]["value"], ours["current"]["text"]) == ("prometheus", "Prometheus")
    assert [variable["current"] for variable in others] == [{}, {}]
    # The panel still follows the variable, which a person can change.
    assert prepared["panels"][0]["datasource"]["uid"] == "${ds_prometheus}"


def test_nothing_is_asked_again(run_module: RunModule, upstream: Upstream, folder: Path) -> None:
    asked = options(upstream, folder, upstream.offer(1860, NODE), contents=[OURS])
    first = run_module(grafana_dashboard.main, asked)
    upstream.requests.clear()
    second = run_module(grafana_dashboard.main, asked)
    assert (second["changed"], second["changed_files"]) == (False, [])
    assert sorted(second["uids"]) == sorted(first["uids"])
    assert upstream.requests == []


def test_inputs_of_the_import_dialogue_are_answered(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    document = {
        "uid": "a",
        "title": "A",
        "__inputs": [
            {"name": "DS_PROM", "type": "datasource", "pluginId": "prometheus"},
            {"name": "VAR_PREFIX", "type": "constant", "value": "node"},
        ],
        "panels": [
            {"datasource": "${DS_PROM}", "targets": [{"expr": '${VAR_PREFIX}_load1{a="$b"}'}]},
            {"datasource": {"uid": "${DS_PROM}"}, "${DS_PROM}": 1},
        ],
    }
    run_module(grafana_dashboard.main, options(upstream, folder, upstream.offer(7, document)))
    prepared = load(folder, "grafana-com-7.json")
    assert "__inputs" not in prepared
    assert prepared["panels"][0]["datasource"] == "prometheus"
    assert prepared["panels"][0]["targets"][0]["expr"] == 'node_load1{a="$b"}'
    assert prepared["panels"][1] == {"datasource": {"uid": "prometheus"}, "${DS_PROM}": 1}


def test_a_dashboard_without_a_usable_uid_gets_one(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    entry = upstream.offer(7, {"title": "A", "uid": "not a uid"})
    result = run_module(grafana_dashboard.main, options(upstream, folder, entry))
    assert result["uids"] == ["grafana-com-7"]


def test_an_edited_file_is_brought_back(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    asked = options(upstream, folder, upstream.offer(1860, NODE), contents=[OURS])
    run_module(grafana_dashboard.main, asked)
    before = (folder / "grafana-com-1860.json").read_bytes()
    (folder / "grafana-com-1860.json").write_text("{}")
    (folder / "ours.json").write_text("{}")
    assert len(run_module(grafana_dashboard.main, asked)["changed_files"]) == 2
    assert (folder / "grafana-com-1860.json").read_bytes() == before
    assert (folder / "ours.json").read_text() == OURS


@pytest.mark.parametrize("change", ["revision", "title", "datasource_uid"])
def test_another_wish_prepares_it_again(
    run_module: RunModule, upstream: Upstream, folder: Path, change: str
) -> None:
    entry = upstream.offer(1860, NODE)
    run_module(grafana_dashboard.main, options(upstream, folder, entry))
    others: dict[str, Any] = {}
    if change == "revision":
        entry = upstream.offer(1860, {**NODE, "version": 2}, revision=2)
    elif change == "title":
        entry = {**entry, "title": "Another title"}
    else:
        others = {"datasource_uid": "other"}
    before = (folder / "grafana-com-1860.json").read_bytes()
    result = run_module(grafana_dashboard.main, options(upstream, folder, entry, **others))
    assert result["changed"] is True
    assert (folder / "grafana-com-1860.json").read_bytes() != before


def test_what_is_no_longer_listed_goes_and_other_files_stay(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    (folder / "mine.json").write_text('{"uid": "mine", "title": "Mine"}')
    (folder / "grafana-com-99.json").write_text('{"uid": "x", "title": "Not ours"}')
    entry = upstream.offer(1860, NODE)
    run_module(grafana_dashboard.main, options(upstream, folder, entry, contents=[OURS]))
    result = run_module(grafana_dashboard.main, options(upstream, folder))
    assert len(result["changed_files"]) == 2
    assert visible(folder) == {"mine.json", "grafana-com-99.json"}
    assert run_module(grafana_dashboard.main, options(upstream, folder))["changed"] is False


def test_a_renamed_dashboard_may_keep_its_title(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    run_module(grafana_dashboard.main, options(upstream, folder, contents=[OURS]))
    renamed = OURS.replace('"ours"', '"new"')
    run_module(grafana_dashboard.main, options(upstream, folder, contents=[renamed]))
    assert visible(folder) == {"new.json"}


def test_modes_are_put_right(run_module: RunModule, upstream: Upstream, folder: Path) -> None:
    asked = options(upstream, folder, upstream.offer(1860, NODE))
    run_module(grafana_dashboard.main, asked)
    path = folder / "grafana-com-1860.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o666)
    assert run_module(grafana_dashboard.main, asked)["changed_files"] == [str(path)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


# --- Check mode, failures, interruptions ------------------------------------------------------


def test_check_mode_asks_nobody_and_writes_nothing(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    asked = options(upstream, folder, upstream.offer(1860, NODE), contents=[OURS])
    result = run_module(grafana_dashboard.main, asked, check=True)
    assert len(result["changed_files"]) == 2
    assert (upstream.requests, list(folder.iterdir())) == ([], [])
    run_module(grafana_dashboard.main, asked)
    assert run_module(grafana_dashboard.main, asked, check=True)["changed"] is False


def test_check_mode_on_a_blank_host(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    asked = options(upstream, folder / "nowhere", upstream.offer(1860, NODE), contents=[OURS])
    asked |= {"owner": "nobody-yet", "group": "nobody-yet"}
    result = run_module(grafana_dashboard.main, asked, check=True)
    assert (result["changed"], result["uids"]) == (True, ["ours"])


def test_a_wrong_checksum_replaces_nothing_and_names_what_to_edit(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    entry = {**upstream.offer(1860, NODE), "sha256": "0" * 64}
    result = run_module(grafana_dashboard.main, options(upstream, folder, entry, contents=[OURS]))
    assert result["failed"] is True
    assert "grafana_imported_dashboards (group_vars/all/versions.yml)" in result["msg"]
    assert list(folder.iterdir()) == []


def test_a_passing_failure_is_tried_again(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    entry = upstream.offer(1860, NODE)
    upstream.failures = [503, 502]
    assert run_module(grafana_dashboard.main, options(upstream, folder, entry))["changed"] is True


@pytest.mark.parametrize(
    ("failures", "cut", "words"),
    [
        ([503] * 4, 0, "4 tries"),
        ([404], 0, "Is there such a dashboard and revision?"),
        ([], 5, "truncated"),
    ],
)
def test_a_lasting_failure_says_what_to_try(  # noqa: PLR0917 - fixtures and parameters
    run_module: RunModule,
    upstream: Upstream,
    folder: Path,
    failures: list[int],
    cut: int,
    words: str,
) -> None:
    entry = upstream.offer(1860, NODE)
    upstream.failures, upstream.cut = failures, cut
    result = run_module(grafana_dashboard.main, options(upstream, folder, entry))
    assert words in result["msg"]
    assert "/api/dashboards/1860/revisions/1/download" in result["msg"]


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([OURS, OURS], "Two dashboards of contents have the uid 'ours'"),
        (["{"], "is no JSON"),
        (['{"uid": "a/b", "title": "A"}'], "its uid is 'a/b'"),
        (['{"uid": "a"}'], "needs a title"),
        (["[]"], "needs a title"),
        (['{"uid": "b", "title": "Node Exporter Full"}'], "the title 'Node Exporter Full'"),
        (['{"uid": "rYdddlPWk", "title": "B"}'], "the uid 'rYdddlPWk'"),
    ],
)
def test_dashboards_that_grafana_would_not_take_are_refused(
    run_module: RunModule, upstream: Upstream, folder: Path, contents: list[str], words: str
) -> None:
    entry = upstream.offer(1860, NODE)
    result = run_module(grafana_dashboard.main, options(upstream, folder, entry, contents=contents))
    assert words in result["msg"]
    assert visible(folder) == set()


def test_a_title_that_a_file_of_somebody_else_has_is_refused(
    run_module: RunModule, upstream: Upstream, folder: Path
) -> None:
    asked = options(upstream, folder, upstream.offer(1860, NODE), contents=[OURS])
    run_module(grafana_dashboard.main, asked)
    for title in ("Uso de CPU", "Node Exporter Full"):
        (folder / "mine.json").write_text(json.dumps({"uid": "mine", "title": title}))
        assert "mine.json" in run_module(grafana_dashboard.main, asked)["msg"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"<html>", "is no JSON"),
        ({"uid": "a"}, "has no title"),
        (
            {
                "title": "A",
                "__inputs": [{"name": "DS_L", "type": "datasource", "pluginId": "loki"}],
            },
            "asks for 'DS_L' (loki)",
        ),
    ],
)
def test_what_cannot_be_provisioned_is_refused(
    run_module: RunModule, upstream: Upstream, folder: Path, document: Any, words: str
) -> None:
    entry = upstream.offer(7, document)
    assert words in run_module(grafana_dashboard.main, options(upstream, folder, entry))["msg"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_url": "grafana.com"}, "takes https://"),
        ({"mode": "rw"}, "is not octal"),
        ({"group": "nobody-yet"}, "There is no group 'nobody-yet'"),
        ({"directory": "/proc/nowhere"}, "become: true"),
    ],
)
def test_options_that_cannot_work(
    run_module: RunModule,
    upstream: Upstream,
    folder: Path,
    change: dict[str, str],
    words: str,
) -> None:
    asked = options(upstream, folder, contents=[OURS])
    assert words in run_module(grafana_dashboard.main, {**asked, **change})["msg"]


def test_lists_that_cannot_work(run_module: RunModule, upstream: Upstream, folder: Path) -> None:
    entry = upstream.offer(1860, NODE)
    twice = run_module(grafana_dashboard.main, options(upstream, folder, entry, entry))
    assert "listed twice" in twice["msg"]
    bad = run_module(grafana_dashboard.main, options(upstream, folder, {**entry, "sha256": "abc"}))
    assert "sha256sum" in bad["msg"]


@pytest.mark.parametrize("call", range(1, 9))
def test_a_run_killed_at_any_write_is_healed_by_the_next(
    run_module: RunModule, run_killed: RunKilled, upstream: Upstream, folder: Path, call: int
) -> None:
    asked = options(upstream, folder, upstream.offer(1860, NODE), contents=[OURS])
    run_killed("grafana_dashboard", asked, "fsync", call)
    for name in visible(folder):
        load(folder, name)
    run_module(grafana_dashboard.main, asked)
    assert visible(folder) == {"grafana-com-1860.json", "ours.json"}
    assert not list(folder.glob(".labstack-new-*"))
    assert run_module(grafana_dashboard.main, asked)["changed"] is False
