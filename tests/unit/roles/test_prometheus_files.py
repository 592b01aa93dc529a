"""What the role prometheus writes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError

from tests.role_readme import ROLES
from tests.unit.roles.rendering import evaluate, parse_unit, render, written

RUNBOOKS = "https://github.com/labstack/labstack/blob/main/docs/runbooks.md"


def config(**overrides: object) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(render("prometheus", "prometheus.yml.j2", **overrides))
    return loaded


def files_of(**overrides: object) -> dict[str, dict[str, Any]]:
    """Return what the role writes, by path."""
    return written("prometheus", "service.yml", **overrides)


def test_the_documents_jobs_are_scraped_every_5_seconds_with_a_password() -> None:
    assert config()["global"]["scrape_interval"] == "5s"
    jobs = {job["job_name"]: job for job in config()["scrape_configs"]}
    assert jobs["prometheus"]["static_configs"] == [{"targets": ["localhost:9090"]}]
    assert jobs["node"]["static_configs"] == [{"targets": ["localhost:9100"]}]
    for job in (jobs["prometheus"], jobs["node"]):
        assert job["basic_auth"] == {"username": "monitor", "password_file": "scrape_password"}


def test_the_password_itself_is_in_no_template() -> None:
    files = files_of()
    (name,) = [name for name, file in files.items() if "sampleMonitoringPassword" in str(file)]
    assert name == "/etc/prometheus/scrape_password"
    assert "secret_content" in files[name]


def test_more_jobs() -> None:
    extra = {
        "name": 'app "blue"',
        "targets": ["localhost:5000"],
        "basic_auth": False,
        "metrics_path": "/internal/metrics",
        "labels": {"tier": "web"},
    }
    job = config(prometheus_extra_jobs=[extra])["scrape_configs"][-1]
    assert job == {
        "job_name": 'app "blue"',
        "metrics_path": "/internal/metrics",
        "static_configs": [{"targets": ["localhost:5000"], "labels": {"tier": "web"}}],
    }


def test_targets_in_files_are_looked_for_again_soon() -> None:
    """Prometheus watches no directory that comes after it."""
    files = ["/etc/labstack/targets/*.page.json"]
    job = config(prometheus_extra_jobs=[{"name": "pages", "files": files}])["scrape_configs"][-1]
    assert job["file_sd_configs"] == [{"files": files, "refresh_interval": "10s"}]


def test_every_exporter_of_the_host_brings_its_jobs() -> None:
    def names(**overrides: object) -> list[str]:
        return [job["job_name"] for job in config(**overrides)["scrape_configs"]]

    document = ["prometheus", "node", "alertmanager", "webapp"]
    assert names(stack_exporters=[]) == document
    assert names(stack_exporters=["mysqld_exporter"]) == [*document, "mysql"]
    every = ["mysqld_exporter", "blackbox_exporter", "apache_exporter"]
    assert names(stack_exporters=every) == [*document, "mysql", "apache", "web", "ssh"]


def test_the_pages_host_is_measured_by_every_exporter() -> None:
    assert evaluate("prometheus", "stack_exporters") == [
        "container_metrics",
        "mysqld_exporter",
        "apache_exporter",
        "blackbox_exporter",
    ]


def test_an_exporter_looks_on_prometheuss_behalf() -> None:
    jobs = {job["job_name"]: job for job in config()["scrape_configs"]}
    web = jobs["web"]
    assert (web["metrics_path"], web["params"]) == ("/probe", {"module": ["http"]})
    assert web["relabel_configs"] == [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": "localhost:9115"},
    ]


def test_alerts_go_to_alertmanager() -> None:
    assert config()["alerting"] == {
        "alertmanagers": [{"static_configs": [{"targets": ["localhost:9093"]}]}]
    }
    assert "alerting" not in config(prometheus_alertmanagers=[])


def test_rules_by_concern_are_delivered_as_they_are_tested() -> None:
    files = files_of()
    for path in (ROLES / "prometheus/files/rules.d").glob("*.yml"):
        file = files[f"/etc/prometheus/rules.d/{path.name}"]
        tested = path.read_text(encoding="utf-8")
        assert file["content"] == tested.replace(
            "runbook_url: docs/runbooks.md", f"runbook_url: {RUNBOOKS}"
        )


def test_runbooks_may_be_somewhere_else() -> None:
    files = files_of(prometheus_runbooks_url="https://git.example.net/runbooks.md")
    content = files["/etc/prometheus/rules.d/apache.yml"]["content"]
    assert "runbook_url: https://git.example.net/runbooks.md#apachedown" in content


def test_without_a_scrape_user_no_job_sends_a_password() -> None:
    jobs = config(prometheus_scrape_user="")["scrape_configs"]
    assert all("basic_auth" not in job for job in jobs)


def test_a_job_may_be_down_when_it_says_so() -> None:
    jobs = [
        {"name": "a", "targets": ["a:1"]},
        {"name": "b", "targets": ["b:1"], "must_be_up": False},
        {"name": "c", "targets": ["c:1"], "must_be_up": True},
    ]
    monitored = evaluate("prometheus", "__prometheus_probed_jobs", prometheus_jobs=jobs)
    assert monitored == ["a", "c"]


def test_alert_is_the_documents() -> None:
    (group,) = yaml.safe_load(files_of()["/etc/prometheus/rules.yml"]["content"])["groups"]
    assert group["name"] == "node-alerts"
    assert group["rules"] == [
        {
            "alert": "HighCPUUsage",
            "expr": '(100 - (avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[2m]))'
            " * 100)) > 80",
            "for": "2m",
            "labels": {"severity": "warning"},
            "annotations": {
                "summary": "CPU alta en {{ $labels.instance }}",
                "description": "CPU mayor al 80%",
                "runbook_url": f"{RUNBOOKS}#highcpuusage",
            },
        }
    ]


def test_more_rules_are_data() -> None:
    groups = [
        {"name": "a", "interval": "1m", "rules": [{"record": "x", "expr": 'up{job="node"} == 0'}]},
        {"name": "b", "rules": [{"alert": "B", "expr": "up == 0", "for": "10m"}]},
    ]
    text = render("prometheus", "extra_rule_groups.yml.j2", prometheus_extra_rule_groups=groups)
    assert yaml.safe_load(text)["groups"] == groups


def test_retention_is_limited_by_time_and_size() -> None:
    text = render(
        "prometheus",
        "prometheus.service.j2",
        prometheus_retention_time="7d",
        prometheus_retention_size="1GB",
    )
    service = parse_unit(text)["Service"]
    (command,) = service["ExecStart"]
    assert '"--storage.tsdb.retention.time=7d"' in command
    assert "--storage.tsdb.retention.size=${PROMETHEUS_RETENTION_SIZE}" in command
    # Before each start it may become less.
    assert "PROMETHEUS_RETENTION_SIZE=1GB" in service["Environment"]
    (before,) = service["ExecStartPre"]
    assert before.endswith(f" start /var/lib/prometheus {128 * 1024**2} {1024**3}")


def test_a_percent_sign_of_the_external_address_survives_systemd() -> None:
    address = "http://203.0.113.7:9090/a%20b/"
    text = render("prometheus", "prometheus.service.j2", prometheus_external_url=address)
    (command,) = parse_unit(text)["Service"]["ExecStart"]
    assert '"--web.external-url=http://203.0.113.7:9090/a%%20b/"' in command


def test_memory_that_is_no_size_fails_before_anything_is_written() -> None:
    with pytest.raises(AnsibleError):
        render("prometheus", "prometheus.service.j2", prometheus_memory_max="plenty")
