"""Applications as people bring them, beside the bundled one, which goes on meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.ask import ask, wait_until
from tests.lab import ROOT, Lab, Run
from tests.stack.panels import queries
from tests.stack.runbooks import of_applications

APPS = ROOT / "tests" / "apps"
# Of each: a file with its version, and whether a release of it has no gap. What stands behind the
# front service, as Flask of the document's style, has one.
VERSIONS = {"hola": "app.py", "tienda": "flask/app.py", "notas": "db.php"}
GAPLESS = ("hola", "notas")
METRICS = ("notas",)
TAGS = ("--tags", "prometheus,applications,verify")
SCRAPED = 60.0  # seconds until Prometheus has read new targets and computed rules of them


@dataclass
class Watch:
    """Somebody who asks for a page all the time.

    Attributes:
        url: the page.
        pause: seconds between two questions.
        answers: how many were good.
        failed: what else came.
    """

    url: str
    pause: float = 0.05
    answers: int = 0
    failed: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def asking(self) -> Iterator[Watch]:
        """Ask until the block ends."""
        over = threading.Event()

        def go() -> None:
            while not over.is_set():
                answer = ask(self.url)
                if answer.status == 200:
                    self.answers += 1
                else:
                    self.failed.append(f"{answer.status} {answer.body[:80]}")
                over.wait(self.pause)

        thread = threading.Thread(target=go)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()


@dataclass
class Application:
    """A foreign application in a copy of its own, which a test changes."""

    lab: Lab
    name: str
    source: Path

    @property
    def url(self) -> str:
        """Its page."""
        return f"http://{self.lab.address}/{self.name}/"

    def deploy(self, *arguments: str, **more: object) -> Run:
        """Run site.yml with the two variables, and more of its entry and of the command line."""
        entry = {"source": str(self.source), "path": f"/{self.name}", **more}
        variables = json.dumps({"webapp_apps": {self.name: entry}})
        return self.lab.play(*TAGS, "-e", variables, *arguments)

    def play(self, playbook: str, *more: str) -> Run:
        """Run what ./lab deploy, releases and rollback run, with the two variables."""
        variables = {
            "webapp_apps": {self.name: {"source": str(self.source), "path": f"/{self.name}"}},
            "deploy_application": self.name,
        }
        return self.lab.play("-e", json.dumps(variables), *more, playbook=f"playbooks/{playbook}")

    def images(self) -> str:
        """The images that were built for it, by name."""
        wanted = f"--filter reference='labstack-apps/{self.name}/*'"
        form = "--format '{{.Repository}}:{{.Tag}} {{.ID}} {{.CreatedAt}}'"
        return self.lab.ssh(f"sudo docker image ls {wanted} {form} | sort").stdout

    def data(self) -> str:
        """The container of its database; empty where it has none."""
        wanted = f"--filter 'name=^{self.name}-(mysql|db)-1$'"
        return self.lab.ssh(f"sudo docker ps --no-trunc --quiet {wanted}").stdout

    def take_off(self, *more: str) -> Run:
        """Run site.yml with state: absent."""
        variables = json.dumps({"webapp_apps": {self.name: {"state": "absent"}}})
        return self.lab.play("--tags", "applications", "-e", variables, *more)

    def write(self, version: str) -> None:
        """Make another release of the source."""
        file = self.source / VERSIONS[self.name]
        text = re.sub(r"(VERSION = ['\"])\d", rf"\g<1>{version}", file.read_text())
        file.write_text(text)

    def page(self) -> str:
        """What people see."""
        return ask(self.url).body


@pytest.fixture(params=VERSIONS)
def application(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> Application:
    name = str(request.param)
    return Application(lab, name, Path(shutil.copytree(APPS / name, tmp_path / name)))


def query(lab: Lab, expression: str) -> list[dict[str, Any]]:
    password = lab.ssh("sudo cat /etc/labstack/secrets/monitoring_password").stdout.strip()
    url = f"http://{lab.address}:9090/api/v1/query?query={quote(expression)}"
    return list(ask(url, "monitor", password).json()["data"]["result"])


def alert_expressions() -> dict[str, str]:
    text = (ROOT / "roles/prometheus/files/rules.d/applications.yml").read_text()
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    # Without the comparison, after which an alert that is silent has nothing.
    return {rule["alert"]: re.sub(r" (==|>) \S+$", "", rule["expr"]) for rule in rules}


def check_sight(app: Application) -> None:
    """Each panel of the dashboard and each alert has something to say of this application."""
    board = json.loads((ROOT / "roles/grafana/files/dashboards/aplicaciones.json").read_text())
    for variable in board["templating"]["list"]:
        variable["allValue"] = app.name
    asked = {str(each): each.expression for each in queries(board, {})}
    asked |= {
        alert: expression.replace("{", f'{{app="{app.name}", ', 1)
        for alert, expression in alert_expressions().items()
    }
    if app.name not in METRICS:
        asked = {title: text for title, text in asked.items() if 'job="applications"' not in text}
    assert len(asked) >= 5

    def empty() -> list[str]:
        return [title for title, text in asked.items() if not query(app.lab, text)]

    try:
        wait_until(lambda: not empty(), SCRAPED)
    except TimeoutError as error:
        raise AssertionError(f"no data after {SCRAPED:.0f} s: {empty()}") from error


def check_runbooks(app: Application) -> None:
    """What the runbooks tell to type about an application works."""
    typed = of_applications(app.name)
    assert len(typed) >= 4
    for command in typed:
        done = app.lab.ssh("sudo sh -s", command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout


def check_way_back(app: Application, first: str) -> None:
    """It goes back to a release of before with what the host has, and forward again."""
    link = f"readlink /opt/apps/{app.name}/current"
    second = app.lab.ssh(link).stdout
    images, data = app.images(), app.data()
    # What a build would take is not there.
    shutil.move(app.source, f"{app.source}.away")
    own = Watch(app.url)
    with own.asking():
        run = app.play("rollback.yml")
    assert run.status == 0, run.output[-6000:]
    assert "versión 1" in app.page()
    assert app.lab.ssh(link).stdout == first
    assert app.images() == images
    assert app.data() == data
    if app.name in GAPLESS:
        assert own.failed == []
        assert own.answers > 0

    shutil.move(f"{app.source}.away", app.source)
    run = app.play("deploy.yml")
    assert run.status == 0, run.output[-6000:]
    assert "versión 2" in app.page()
    assert app.lab.ssh(link).stdout == second
    assert app.data() == data


def test_it_is_deployed_replaced_rolled_back_and_taken_off(application: Application) -> None:
    app, lab = application, application.lab
    # For minutes: often enough to see it fail, and no load beside.
    bundled = Watch(f"http://{lab.address}/products", pause=0.3)
    with bundled.asking():
        run = app.deploy()
        assert run.status == 0, run.output[-6000:]
        assert "versión 1" in app.page()
        check_sight(app)
        if app.name in METRICS:
            check_runbooks(app)
        first = lab.ssh(f"readlink /opt/apps/{app.name}/current").stdout

        run = app.deploy()
        assert run.status == 0, run.output[-6000:]
        assert run.recap["changed"] == 0

        app.write("2")
        own = Watch(app.url)
        with own.asking():
            run = app.deploy()
        assert run.status == 0, run.output[-6000:]
        assert "versión 2" in app.page()
        if app.name in GAPLESS:
            assert own.failed == []
            assert own.answers > 0

        check_way_back(app, first)

        run = app.take_off()
        assert run.status == 0, run.output[-6000:]
        assert ask(app.url).status == 404
        left = lab.ssh(f"sudo docker ps --all --quiet --filter name=^{app.name}-").stdout
        assert left == ""
        assert lab.ssh(f"ls /opt/apps/{app.name}").returncode != 0
        volumes = lab.ssh(f"sudo docker volume ls --quiet --filter name=^{app.name}_").stdout
        # Without teardown_data the data stays.
        assert bool(volumes) == (app.name != "hola")
        run = app.take_off("-e", "teardown_data=true")
        assert run.status == 0, run.output[-6000:]
    assert bundled.failed == []
    assert bundled.answers > 100
    print(f"{app.name}: the bundled application answered {bundled.answers} times, failed 0")


@pytest.fixture
def hola(lab: Lab, tmp_path: Path) -> Iterator[Application]:
    app = Application(lab, "hola", Path(shutil.copytree(APPS / "hola", tmp_path / "hola")))
    run = app.deploy()
    assert run.status == 0, run.output[-6000:]
    yield app
    app.take_off("-e", "teardown_data=true")


def test_a_release_that_does_not_start_leaves_the_one_before_serving(hola: Application) -> None:
    (hola.source / "app.py").write_text("raise SystemExit('no such setting: PRICE_LIST')\n")
    own = Watch(hola.url)
    with own.asking():
        # gunicorn starts its workers again and again: only the end of this time says that it fails.
        run = hola.deploy("-e", "application_start_timeout=40")
    assert run.status != 0
    assert "no such setting: PRICE_LIST" in run.output
    assert own.failed == []
    assert "versión 1" in hola.page()


def test_what_its_file_does_not_say_is_told_before_anything_changes(hola: Application) -> None:
    compose = "services:\n  a: {build: .}\n  b: {build: .}\n"
    (hola.source / "compose.yaml").write_text(compose)
    run = hola.deploy()
    assert run.status != 0
    assert "does not say which service answers people: a, b" in run.output
    assert "front: {service: web, port: 8000}" in run.output
    assert "versión 1" in hola.page()


def test_the_way_back_is_told_and_what_only_one_release_has_goes(hola: Application) -> None:
    """A service of the newer release alone ends; what the host does not keep is refused."""
    link = "basename $(readlink /opt/apps/hola/current)"
    first = hola.lab.ssh(link).stdout.strip()
    (hola.source / "compose.yaml").write_text(
        "services:\n"
        "  web: {build: ., ports: ['8000:8000']}\n"
        "  worker: {build: ., command: [sleep, infinity]}\n"
    )
    hola.write("2")
    assert hola.deploy().status == 0
    workers = "sudo docker ps --all --quiet --filter name=^hola-worker-"
    assert hola.lab.ssh(workers).stdout
    second = hola.lab.ssh(link).stdout.strip()
    # site.yml brought both, so the log has neither.
    run = hola.play("rollback.yml")
    assert run.status == 0, run.output[-6000:]
    assert "versión 1" in hola.page()
    assert hola.lab.ssh(workers).stdout == ""

    run = hola.play("releases.yml")
    assert f"{second}   (./lab rollback --app hola RELEASE)" in run.output
    assert f"serves now: {first}" in run.output
    run = hola.play("rollback.yml", "-e", "rollback_release=0123456789ab")
    assert run.status != 0
    assert "no release 0123456789ab of hola" in run.output
    assert second in run.output
    assert "-> ./lab rollback --app hola RELEASE" in run.output

    run = hola.play("rollback.yml", "-e", f"rollback_release={second}")
    assert run.status == 0, run.output[-6000:]
    assert "versión 2" in hola.page()
    assert hola.lab.ssh(workers).stdout
    hola.lab.ssh(f"sudo docker image rm --force labstack-apps/hola/web:{first}")
    run = hola.play("rollback.yml")
    assert run.status != 0
    assert f"release {first} of hola cannot come back: the host no longer has its" in run.output
    assert "versión 2" in hola.page()


def test_what_nobody_names_cannot_go_back(lab: Lab) -> None:
    variables = {"webapp_apps": {"hola": {"source": "../hola", "path": "/hola"}}}
    given = ("-e", json.dumps(variables), "-e", "deploy_application=shop")
    for verb in ("rollback", "releases", "deploy"):
        run = lab.play(*given, playbook=f"playbooks/{verb}.yml")
        assert run.status != 0
        assert "There is no application shop; there are: webapp, hola." in run.output
        assert f"-> ./lab {verb} --app NAME, with one of these" in run.output
        assert f"./lab {verb} --app shop -- -e @apps.yml" in run.output
    assert lab.ssh("ls /opt/apps/shop").returncode != 0


def test_its_secrets_are_files_that_nobody_else_sees(lab: Lab, tmp_path: Path) -> None:
    app = Application(lab, "notas", Path(shutil.copytree(APPS / "notas", tmp_path / "notas")))
    run = app.deploy()
    try:
        assert run.status == 0, run.output[-6000:]
        secrets = lab.ssh("sudo sh -c 'cat /etc/labstack/secrets/app_notas_*'").stdout
        values = re.findall(r"\w{32}", secrets)
        assert len(values) >= 2
        seen = lab.ssh("sudo docker inspect $(sudo docker ps --quiet)").stdout
        seen += lab.ssh("ps -ef; sudo cat /opt/apps/notas/current/*.yaml").stdout + run.output
        assert [value for value in values if value in seen] == []
        known = json.loads(lab.ssh("cat /etc/labstack/applications.json").stdout)
        assert set(known) == {"webapp", "notas"}
        assert known["notas"]["data"]["mysql"][0]["database"] == "notas"
        assert ask(f"{app.url}metrics.php").status == 403
    finally:
        app.take_off("-e", "teardown_data=true")


def test_a_repository_at_a_version_is_cloned_by_the_host(lab: Lab, tmp_path: Path) -> None:
    app = Application(lab, "hola", tmp_path)
    repository = Path(shutil.copytree(APPS / "hola", tmp_path / "hola"))
    # A host that is new has no git: the role installs it.
    for line in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm 1", "tag v1"):
        subprocess.run(["git", "-C", str(repository), *line.split()], check=True)
    head = subprocess.check_output(["git", "-C", str(repository), "rev-parse", "v1"], text=True)
    archive = subprocess.check_output(["tar", "-C", str(tmp_path), "-c", "hola"])
    subprocess.run(
        [
            *("ssh", "-F", ".lab/ssh_config", lab.host),
            "sudo mkdir -p /srv/git && sudo tar -x --no-same-owner -C /srv/git",
        ],
        cwd=ROOT,
        input=archive,
        check=True,
    )
    variables = {"repo": "/srv/git/hola", "version": "v1", "path": "/hola"}
    run = lab.play(*TAGS, "-e", json.dumps({"webapp_apps": {"hola": variables}}))
    try:
        assert run.status == 0, run.output[-6000:]
        assert "versión 1" in app.page()
        assert lab.ssh("readlink /opt/apps/hola/current").stdout.strip() == f"releases/{head[:12]}"
    finally:
        app.take_off()


@pytest.mark.parametrize("language", ["docs", "docs/es"])
def test_the_lines_of_the_guide_lead_to_the_page(lab: Lab, tmp_path: Path, language: str) -> None:
    text = (ROOT / language / "your-application.md").read_text()
    block = re.search(r"```\n(git clone .*?)```", text, re.DOTALL)
    assert block
    lines = block[1].splitlines()
    assert len(lines) <= 10
    # The clone is this checkout.
    typed = "\n".join(lines[1:])
    shutil.copytree(APPS / "hola", tmp_path / "shop")
    typed = typed.replace("../shop", str(tmp_path / "shop")).replace(
        "apps.yml", f"{tmp_path}/apps.yml"
    )
    run = subprocess.run(
        ["bash", "-euc", typed],
        cwd=ROOT,
        env={**os.environ, "LABSTACK_LAB": lab.name},
        capture_output=True,
        text=True,
        check=False,
    )
    app = Application(lab, "shop", tmp_path / "shop")
    try:
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
        assert f"https://{lab.address}/shop/" in run.stdout
        assert "versión 1" in app.page()
    finally:
        app.take_off()
