"""stack_monitoring_tls: one switch, which everybody who talks to 9090 and 9100 follows."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.roles.rendering import evaluate, parse_unit, render

ON: dict[str, Any] = {"stack_monitoring_tls": True}


@pytest.mark.parametrize("role", ["node_exporter", "prometheus"])
def test_web_configuration_and_unit_say_so(role: str) -> None:
    web = yaml.safe_load(render(role, "web.yml.j2", **ON))
    assert web["tls_server_config"] == {"cert_file": "tls/cert.pem", "key_file": "tls/key.pem"}
    assert "monitor" in web["basic_auth_users"]
    assert "tls_server_config" not in yaml.safe_load(render(role, "web.yml.j2"))
    # Whether a listener speaks TLS is settled when it is made: the unit has to differ.
    on, off = (parse_unit(render(role, f"{role}.service.j2", **o))["Unit"] for o in (ON, {}))
    assert on["Description"] != off["Description"]


def test_prometheus_asks_those_two_and_nobody_else_over_https() -> None:
    config = yaml.safe_load(render("prometheus", "prometheus.yml.j2", **ON))
    schemes = {job["job_name"]: job.get("scheme", "http") for job in config["scrape_configs"]}
    assert {name for name, scheme in schemes.items() if scheme == "https"} == {"prometheus", "node"}
    assert evaluate("prometheus", "prometheus_external_url", **ON).startswith("https://")


def test_grafana_and_the_verification_follow() -> None:
    (source,) = evaluate("grafana", "__grafana_datasources", **ON)
    assert source["url"] == "https://localhost:9090"
    assert source["jsonData"]["tlsSkipVerify"] is True
    servers = evaluate("verify", "verify_servers", **ON)
    assert {name for name, server in servers.items() if server.get("scheme") == "https"} == {
        "https",
        "prometheus",
        "node_exporter",
    }
    (source,) = evaluate("grafana", "__grafana_datasources")
    assert source["url"] == "http://localhost:9090"
    assert "tlsSkipVerify" not in source["jsonData"]
