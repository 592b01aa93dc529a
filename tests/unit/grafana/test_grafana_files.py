"""What the role grafana writes, and what it refuses before it writes anything."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.role_readme import ROLES
from tests.unit.roles.rendering import evaluate, parse_unit, render, variables

DASHBOARDS = sorted((ROLES / "grafana/files/dashboards").glob("*.json"))


def ini(**overrides: object) -> dict[str, dict[str, str]]:
    """Return grafana.ini's settings, by section."""
    parsed = parse_unit(render("grafana", "grafana.ini.j2", **overrides))
    return {s: {k: v[-1] for k, v in values.items()} for s, values in parsed.items()}


def datasources(**overrides: object) -> list[dict[str, Any]]:
    loaded = yaml.safe_load(render("grafana", "datasources.yaml.j2", **overrides))
    found: list[dict[str, Any]] = loaded["datasources"]
    return found


def panels(path: str) -> dict[str, Any]:
    document = json.loads((ROLES / "grafana/files/dashboards" / path).read_text())
    return {panel["title"]: panel for panel in document["panels"]}


def test_data_sources_that_nobody_uses_are_no_processes() -> None:
    disabled = ini()["plugins"]["disable_plugins"].split(",")
    assert "prometheus" not in disabled
    assert "loki" in disabled
    loki = {"name": "Loki", "uid": "loki", "type": "loki", "url": "http://localhost:3100"}
    used = ini(grafana_extra_datasources=[loki])["plugins"]["disable_plugins"].split(",")
    assert set(disabled) - set(used) == {"loki"}


# --- grafana.ini ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("analytics", "reporting_enabled", "false"),
        ("analytics", "check_for_updates", "false"),
        ("analytics", "check_for_plugin_updates", "false"),
        ("news", "news_feed_enabled", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("plugins", "preinstall_auto_update", "false"),
        ("security", "disable_gravatar", "true"),
        ("snapshots", "external_enabled", "false"),
        ("users", "allow_sign_up", "false"),
        ("auth.anonymous", "enabled", "false"),
        ("server", "enable_gzip", "false"),
    ],
)
def test_nothing_calls_home_and_nobody_comes_in(section: str, key: str, value: str) -> None:
    assert ini()[section][key] == value


def test_the_settings_hold_no_secret_and_the_command_line_finds_the_database() -> None:
    text = render("grafana", "grafana.ini.j2")
    assert "sampleGrafanaPassword" not in text
    assert ini()["security"]["admin_password"] == "$__file{/etc/grafana/admin_password}"
    assert ini()["paths"]["data"] == "/var/lib/grafana"


def test_people_see_first_whether_all_is_well() -> None:
    path = ini()["dashboards"]["default_home_dashboard_path"]
    document = json.loads((ROLES / "grafana/files/dashboards" / path.split("/")[-1]).read_text())
    assert path == "/etc/grafana/dashboards/estado-general.json"
    assert document["title"] == "¿Está todo bien?"


@pytest.mark.parametrize(
    ("address", "host", "port", "probe"),
    [
        ("0.0.0.0:3000", "0.0.0.0", "3000", "127.0.0.1:3000"),  # noqa: S104 - it is compared
        (":3001", "", "3001", "127.0.0.1:3001"),
        ("[::]:3000", "::", "3000", "127.0.0.1:3000"),
        ("10.0.0.7:80", "10.0.0.7", "80", "10.0.0.7:80"),
    ],
)
def test_the_address_to_listen_on(address: str, host: str, port: str, probe: str) -> None:
    server = ini(grafana_listen_address=address)["server"]
    assert (server["http_addr"], server["http_port"]) == (host, port)
    probed = evaluate("grafana", "__grafana_probe_address", grafana_listen_address=address)
    assert probed == probe


def test_a_secret_key_comes_from_its_file() -> None:
    key = ini(grafana_secret_key="a key")["security"]["secret_key"]
    assert key == "$__file{/etc/grafana/secret_key}"


# --- The data source --------------------------------------------------------------------------


def test_prometheus_is_the_default_data_source_and_nobody_edits_it() -> None:
    (source,) = datasources()
    assert source["name"] == "Prometheus"
    assert source["uid"] == "prometheus"
    assert source["url"] == "http://localhost:9090"
    assert source["jsonData"]["timeInterval"] == "5s"
    assert (source["isDefault"], source["editable"]) == (True, False)
    assert (source["basicAuth"], source["basicAuthUser"]) == (True, "monitor")
    assert source["secureJsonData"] == {"basicAuthPassword": "sampleMonitoringPassword"}


def test_grafana_gets_a_password_with_dollars_whole() -> None:
    (source,) = datasources(grafana_prometheus_password="a$HOME$$b'\"{}")
    assert source["secureJsonData"]["basicAuthPassword"] == "a$$HOME$$$$b'\"{}"


def test_without_a_user_prometheus_is_asked_without_a_password() -> None:
    (source,) = datasources(grafana_prometheus_user="")
    assert "basicAuth" not in source
    assert "secureJsonData" not in source


def test_no_value_can_break_the_yaml() -> None:
    url = "http://x\n  - name: 'more\": [{#"
    assert datasources(grafana_prometheus_url=url)[0]["url"] == url


def test_more_data_sources() -> None:
    extra = {"name": "Loki", "uid": "loki", "type": "loki", "url": "http://localhost:3100"}
    assert datasources(grafana_extra_datasources=[extra])[1] == extra


# --- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grafana_root_url", "203.0.113.7:3000"),
        ("grafana_root_url", "http://203.0.113.7:3000/#top"),
        ("grafana_listen_address", "3000"),
        ("grafana_prometheus_url", "localhost:9090"),
        ("grafana_prometheus_url", "http://localhost:9090\n  x: y"),
        ("grafana_prometheus_interval", "5 s: ["),
        ("grafana_memory_max", "384"),
        ("grafana_memory_max", "a lot"),
    ],
)
def test_values_that_would_stop_grafana_are_refused(name: str, value: str) -> None:
    assert name in refused(**{name: value})


def test_the_delivered_values_and_every_example_are_accepted() -> None:
    assert refused() == []
    examples = {s["name"]: s["example"] for s in variables("grafana")["__grafana_settings"]}
    assert refused(**examples) == []


def refused(**overrides: object) -> list[str]:
    settings = evaluate("grafana", "__grafana_settings", **overrides)
    # As the test `match` of Ansible does.
    return [s["name"] for s in settings if not re.match(s["form"], s["value"])]


# --- The unit's limits ------------------------------------------------------------------------


def test_the_limits_follow_one_variable() -> None:
    service = parse_unit(render("grafana", "labstack.conf.j2", grafana_memory_max="400M"))[
        "Service"
    ]
    mib = 1024 * 1024
    assert service["MemoryMax"] == ["400M"]
    assert service["MemoryHigh"] == [str(350 * mib)]
    assert service["Environment"] == [f"GOMEMLIMIT={300 * mib}"]


def test_grafana_may_write_its_data_only() -> None:
    service = parse_unit(render("grafana", "labstack.conf.j2"))["Service"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["ReadWritePaths"] == ["/var/lib/grafana /var/log/grafana"]


# --- The dashboards ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_can_be_provisioned(path: Any) -> None:
    document = json.loads(path.read_text())
    assert "id" not in document
    assert path.name == f"{document['uid']}.json"
    assert re.fullmatch(r"[a-z0-9-]{1,40}", document["uid"])
    identities = [panel["id"] for panel in document["panels"]]
    assert len(identities) == len(set(identities))
    for panel in document["panels"]:
        for target in (panel, *panel["targets"]):
            assert target["datasource"] == {"type": "prometheus", "uid": "prometheus"}


def test_uids_and_titles_are_unique() -> None:
    documents = [json.loads(path.read_text()) for path in DASHBOARDS]
    for key in ("uid", "title"):
        values = [document[key] for document in documents]
        assert len(values) == len(set(values))


def test_the_documents_panels_have_its_expressions() -> None:
    usage = panels("uso-cpu-memoria.json")
    assert list(usage) == ["CPU (%)", "Memoria"]
    assert [target["expr"] for target in usage["CPU (%)"]["targets"]] == [
        '100 - (avg(rate(node_cpu_seconds_total{mode="idle"}[2m])) * 100)'
    ]
    assert [target["expr"] for target in usage["Memoria"]["targets"]] == [
        "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100"
    ]
    for panel in usage.values():
        assert panel["fieldConfig"]["defaults"]["unit"] == "percent"


def test_the_disk_gauge_shows_gigabytes_of_the_whole() -> None:
    gauge = panels("espacio-disco.json")["Espacio disponible en disco"]
    assert gauge["type"] == "gauge"
    assert gauge["fieldConfig"]["defaults"]["unit"] == "decbytes"
    assert gauge["targets"][0]["expr"] == (
        'node_filesystem_avail_bytes{mountpoint="/",fstype!="rootfs"}'
    )
    (transformation,) = gauge["transformations"]
    reference = transformation["options"]["configRefId"]
    (size,) = [t for t in gauge["targets"] if t["refId"] == reference]
    assert size["legendFormat"] == transformation["options"]["mappings"][0]["fieldName"] == "max"
