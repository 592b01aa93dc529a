"""The contract of a Compose application: what is found, what is refused, and how it is told."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.labstack.stack.plugins.filter.application_plan import application_plan
from ansible_collections.labstack.stack.plugins.filter.invalid_applications import (
    invalid_applications,
)
from ansible_collections.labstack.stack.plugins.module_utils.applications import host_secret

from tests.role_readme import REPOSITORY

SCHEMA = json.loads((REPOSITORY / "roles/application/files/x-labstack.schema.json").read_text())
APPS = REPOSITORY / "tests" / "apps"


def compose(**services: dict[str, Any]) -> dict[str, Any]:
    return {"name": "shop", "services": services}


def port(target: int, published: str = "") -> dict[str, Any]:
    return {"mode": "ingress", "target": target, "published": published, "protocol": "tcp"}


WEB = {"build": {"context": "."}, "ports": [port(8000, "8000")], "networks": {"default": None}}
DB = {
    "image": "mysql:9",
    "volumes": [{"type": "volume", "source": "db", "target": "/var/lib/mysql"}],
    "networks": {"default": None},
}


def plan(said: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return application_plan(json.dumps(said), "shop", settings, "0123456789ab")


def refusal(said: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(AnsibleFilterError) as error:
        plan(said, **settings)
    return str(error.value)


def test_one_service_with_one_port_needs_no_contract() -> None:
    found = plan(compose(web=WEB))
    assert found["front"] == {"service": "web", "port": 8000, "health": "/"}
    assert found["data"] == {"services": [], "mysql": [], "volumes": []}
    assert found["metrics"] is None
    assert found["verify"][0]["path"] == "/"
    assert found["memory"] == {"web": "128m"}
    assert any("web answers people" in sentence for sentence in found["told"])


def test_the_documents_own_style_needs_none_either() -> None:
    said = compose(
        apache={"image": "httpd:2.4", "ports": [port(80, "80")]},
        **{"flask-app": {"build": {"context": "flask"}, "ports": [port(5000, "5000")]}},
        mysql={**DB, "ports": [port(3306, "3306")], "environment": {"MYSQL_ROOT_PASSWORD": "root"}},
    )
    found = plan(said)
    assert found["front"]["service"] == "apache"
    assert found["front"]["port"] == 80
    assert found["data"]["services"] == ["mysql"]
    assert found["others"] == ["flask-app"]
    assert found["built"] == ["flask-app"]
    assert any("MYSQL_ROOT_PASSWORD" in sentence for sentence in found["warnings"])


def test_the_port_for_http_wins_over_that_for_https() -> None:
    ports = [port(80, "80"), port(443, "443")]
    assert plan(compose(web={**WEB, "ports": ports}))["front"]["port"] == 80


def test_what_another_service_waits_for_runs_once() -> None:
    waits = {"migrate": {"condition": "service_completed_successfully"}}
    found = plan(compose(web={**WEB, "depends_on": waits}, migrate={"image": "shop"}, db=DB))
    assert found["release"] == ["migrate"]
    assert found["override"]["migrate"]["restart"] == "no"
    assert found["override"]["web"]["restart"] == "unless-stopped"


def test_what_an_earlier_release_does_not_have_is_told_where_it_comes_back() -> None:
    """A later release brought the worker and the key, which the host's variables still name."""
    settings = {"secrets": {"api_key": "x"}, "memory": {"worker": "64m"}}
    said = json.dumps(compose(web=WEB))
    found = application_plan(said, "shop", settings, "0123456789ab", comes_back=True)
    assert found["memory"] == {"web": "128m"}
    assert found["secrets"] == []
    assert "memory of worker: this release has no such service" in found["told"]
    assert "secret api_key: this release mounts none of this name" in found["told"]
    assert "no secret of this name" in refusal(compose(web=WEB), secrets={"api_key": "x"})


def test_a_health_check_of_its_own_is_taken() -> None:
    web = {**WEB, "healthcheck": {"test": ["CMD", "true"]}}
    assert plan(compose(web=web))["front"]["health"] is None


def test_a_database_without_a_health_check_gets_one_and_only_the_front_is_on_the_edge() -> None:
    override = plan(compose(web=WEB, db=DB))["override"]
    assert "mysqladmin ping" in override["db"]["healthcheck"]["test"][1]
    assert "networks" not in override["db"]
    assert override["web"]["networks"] == {
        "default": None,
        "labstack_edge": {"aliases": ["shop-web"]},
    }
    assert override["web"]["image"] == "labstack-apps/shop/web:0123456789ab"
    assert "image" not in override["db"]


@pytest.mark.parametrize(
    "db",
    [
        {**DB, "image": "mariadb:11", "environment": {"MARIADB_DATABASE": "shop"}},
        {**DB, "image": "docker.io/library/mariadb:11", "environment": {"MYSQL_DATABASE": "shop"}},
        {**DB, "image": "shop-db", "environment": {"MARIADB_DATABASE": "shop"}},
        DB,
    ],
)
def test_a_database_that_no_backup_can_dump_is_copied_as_files_and_that_is_said(
    db: dict[str, Any],
) -> None:
    found = plan(compose(web=WEB, db=db))
    assert found["data"] == {"services": ["db"], "mysql": [], "volumes": ["shop_db"]}
    assert any("copies db's files while it runs" in sentence for sentence in found["warnings"])


def test_what_a_backup_needs_is_there() -> None:
    db = {
        **DB,
        "environment": {
            "MYSQL_DATABASE": "shop",
            "MYSQL_ROOT_PASSWORD_FILE": "/run/secrets/root-pw",
        },
    }
    uploads = [{"type": "volume", "source": "uploads", "target": "/uploads"}]
    said = compose(web={**WEB, "volumes": uploads}, db=db)
    said["volumes"] = {"db": {"name": "shop_db"}, "uploads": {"name": "shop_uploads"}}
    said["services"]["db"]["secrets"] = [{"source": "root-pw", "target": "/run/secrets/root-pw"}]
    said["secrets"] = {"root-pw": {"file": "/x/root-pw"}}
    found = plan(said)
    assert found["data"]["mysql"] == [
        {
            "service": "db",
            "database": "shop",
            "root_password_file": "/etc/labstack/secrets/app_shop_root_pw",
            "plain": "",
        }
    ]
    assert found["data"]["volumes"] == ["shop_uploads"]
    assert found["secrets"] == [{"name": "root-pw", "file": "app_shop_root_pw", "services": ["db"]}]


def test_a_plain_password_of_root_has_a_file_that_is_nobody_elses() -> None:
    db = {**DB, "environment": {"MYSQL_ROOT_PASSWORD": "x", "MYSQL_DATABASE": "shop"}}
    (server,) = plan(compose(web=WEB, db=db))["data"]["mysql"]
    assert server["root_password_file"] == "/etc/labstack/secrets/app_shop_db_root_password"


def test_secrets_of_two_applications_and_of_the_stack_have_names_of_their_own() -> None:
    names = [("grafana", "admin_password"), ("a", "b_c"), ("a-b", "c"), ("a-b-c", "c")]
    files = [host_secret(application, secret) for application, secret in names]
    assert len(set(files)) == len(files)
    assert all(file.startswith("app_") for file in files)


def test_the_hosts_variables_win() -> None:
    said = compose(web=WEB) | {"x-labstack": {"front": {"port": 1}, "memory": {"web": "64m"}}}
    contract = {"front": {"port": 8000, "health": "/up"}}
    found = plan(said, contract=contract, memory={"web": "200m"})
    assert found["front"] == {"service": "web", "port": 8000, "health": "/up"}
    assert found["memory"]["web"] == "200m"


def test_composes_own_limit_is_kept() -> None:
    assert plan(compose(web={**WEB, "mem_limit": "67108864"}))["memory"]["web"] == "67108864"


def test_metrics_are_the_fronts_where_nothing_else_is_said() -> None:
    said = compose(web=WEB) | {"x-labstack": {"metrics": {}}}
    assert plan(said)["metrics"] is None
    said = compose(web=WEB) | {"x-labstack": {"metrics": {"path": "/m"}}}
    assert plan(said)["metrics"] == {"service": "web", "port": 8000, "path": "/m"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"services": {}}, "has no services"),
        (compose(a=WEB, b=WEB), "does not say which service answers people: a, b"),
        (compose(web={"build": {"context": "."}}), "on which port web answers (ports: none)"),
        (
            compose(web={**WEB, "ports": [port(1), port(2)]}),
            "on which port web answers (ports: 1, 2)",
        ),
        (compose(web={**WEB, "network_mode": "host"}), "network_mode"),
        (
            compose(
                web=WEB,
                db={
                    **DB,
                    "volumes": [{"type": "bind", "source": "/r/d", "target": "/var/lib/mysql"}],
                },
            ),
            "volumes: [db-data:/var/lib/mysql]",
        ),
    ],
)
def test_what_is_not_plain_is_refused(said: dict[str, Any], words: str) -> None:
    assert words in refusal(said)


# What both the schema and the plan refuse; the plan's message shows what would be right.
WRONG: list[tuple[Any, str]] = [
    ([], "front: {service: web, port: 8000}"),
    ({"fornt": {}}, "knows front, release, data"),
    ({"front": "web"}, "front: {service: web, port: 8000}"),
    ({"front": {"prot": 1}}, "has the key 'prot'"),
    ({"front": {"port": "8000"}}, "port is '8000'"),
    ({"front": {"port": 70000}}, "port is '70000'"),
    ({"front": {"health": "up"}}, "path is 'up'"),
    ({"release": "migrate"}, "release: [migrate]"),
    ({"data": []}, "data: {services: [db], volumes: [uploads]}"),
    ({"metrics": {"port": 0}}, "metrics: {service: web, port: 8000, path: /metrics}"),
    ({"verify": {}}, "verify: [{path: /, status: 200, contains: Welcome}]"),
    ({"verify": [{"path": "x"}]}, "path is 'x'"),
    ({"verify": [{"status": "ok"}]}, "status is 'ok'"),
    ({"memory": {"web": "much"}}, "memory: {web: 128m}"),
]


@pytest.mark.parametrize(("contract", "words"), WRONG)
def test_schema_and_plan_refuse_the_same(contract: Any, words: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(contract, SCHEMA)
    message = refusal(compose(web=WEB) | {"x-labstack": contract})
    assert words in message
    assert "in the application shop, found before anything was changed" in message


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        ({"front": {"service": "wbe"}}, "no service 'wbe' in compose.yaml; it has web"),
        ({"release": ["migrate"]}, "no service 'migrate'"),
        ({"data": {"volumes": ["up"]}}, "no volume 'up'"),
        ({"memory": {"db": "1m"}}, "has the key 'db'; it knows web"),
    ],
)
def test_names_are_those_of_the_compose_file(contract: dict[str, Any], words: str) -> None:
    jsonschema.validate(contract, SCHEMA)
    assert words in refusal(compose(web=WEB) | {"x-labstack": contract})


def test_all_problems_are_told_at_once_with_their_place() -> None:
    said = compose(web=WEB) | {"x-labstack": {"memory": {"web": "x"}}}
    message = refusal(said, contract={"front": {"port": 0}})
    assert message.startswith("2 problems")
    assert "webapp_apps.shop.contract.front: port is '0'" in message
    assert "compose.yaml, x-labstack.memory" in message


def test_the_contracts_of_the_repository_hold_to_the_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    files = [*APPS.glob("*/*compose*.y*ml")]
    assert len(files) == 3
    for file in files:
        said = yaml.safe_load(file.read_text())
        jsonschema.validate(said.get("x-labstack", {}), SCHEMA)


@pytest.mark.parametrize(
    ("apps", "words"),
    [
        ([], "no dictionary of applications"),
        ({"Shop": {"source": "x", "path": "/"}}, "'Shop' is no name of an application"),
        ({"webapp": {"source": "x", "path": "/w"}}, "is the bundled application"),
        ({"shop": "../shop"}, "webapp_apps.shop is no dictionary"),
        ({"shop": {"path": "/shop"}}, "has neither source nor repo"),
        ({"shop": {"source": "x", "repo": "y", "version": "v", "path": "/s"}}, "both source and"),
        ({"shop": {"repo": "y", "path": "/shop"}}, "version: v1.2.0"),
        (
            {"shop": {"source": "x", "version": "v1", "path": "/s"}},
            "shop: {repo: https://git.example.org/shop.git, version: v1, path: /shop}",
        ),
        ({"shop": {"source": "x"}}, "path: /shop     or     host: shop.example.org"),
        ({"shop": {"source": "x", "path": "shop"}}, "path is 'shop'"),
        ({"shop": {"source": "x", "path": "/shop/"}}, "path is '/shop/'"),
        ({"shop": {"source": "x", "host": "a b"}}, "host is 'a b'"),
        ({"shop": {"source": "x", "path": "/s", "pth": 1}}, "has the key 'pth'"),
        ({"shop": {"source": "x", "path": "/s", "memory": "1m"}}, "memory: {web: 128m}"),
        ({"shop": {"state": "gone"}}, "state: absent"),
        ({"shop": {"source": "x", "path": "/"}}, "the bundled application and webapp_apps.shop"),
        (
            {"a": {"source": "x", "path": "/s"}, "b": {"source": "y", "path": "/s"}},
            "webapp_apps.a and webapp_apps.b both answer at /s",
        ),
        (
            {"b": {"source": "x", "path": "/s"}, "c": {"source": "y", "path": "/s/t"}},
            "webapp_apps.c answers at /s/t, which is below /s of webapp_apps.b",
        ),
    ],
)
def test_wrong_variables_are_told_with_the_valid_form(apps: Any, words: str) -> None:
    assert words in invalid_applications(apps)


def test_right_variables_pass() -> None:
    apps = {
        "shop": {"source": "../shop", "path": "/shop"},
        "blog": {"repo": "https://x/y.git", "version": "v1", "host": "blog.example.org"},
        "old": {"state": "absent"},
        # Its path begins with the other's, and is not below it.
        "shops": {"source": "../shops", "path": "/shops"},
        "admin": {"source": "../admin", "host": "admin.example.org", "path": "/shop/admin"},
    }
    assert invalid_applications(apps) == ""
    assert invalid_applications({"shop": {"source": "x", "path": "/"}}, bundled=False) == ""
