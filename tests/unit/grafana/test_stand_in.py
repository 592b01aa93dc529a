"""The fake grafana package: its files, its traps, and what it answers."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.unit.grafana.conftest import BUILD, FakeGrafana, Prometheus, ask, until

# --- The package ------------------------------------------------------------------------------


def test_the_package_says_that_it_is_a_fake_and_has_the_pinned_version(deb: Path) -> None:
    fields = subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True)
    assert "\nVersion: 13.2.3\n" in fields.stdout
    assert "fake" in fields.stdout


def test_the_package_has_the_real_ones_paths_and_keeps_changed_settings(deb: Path) -> None:
    listing = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True, check=True)
    modes = {line.split()[-1]: line.split()[0] for line in listing.stdout.splitlines()}
    assert modes["./etc/grafana/grafana.ini"] == "-rw-r-----"
    assert modes["./usr/sbin/grafana"] == "-rwxr-xr-x"
    assert modes["./usr/share/grafana/bin/grafana"] == "-rwxr-xr-x"
    for path in (
        "etc/default/grafana-server",
        "etc/grafana/provisioning/datasources/",
        "etc/grafana/provisioning/dashboards/",
        "usr/lib/systemd/system/grafana-server.service",
        "usr/sbin/grafana-server",
        "usr/share/grafana/conf/defaults.ini",
    ):
        assert f"./{path}" in modes
    control = ["dpkg-deb", "--ctrl-tarfile", str(deb)]
    members = subprocess.run(control, capture_output=True, check=True).stdout
    assert b"conffiles" in members


def test_the_same_sources_give_the_same_bytes(deb: Path, tmp_path: Path) -> None:
    subprocess.run([BUILD, tmp_path, "13.2.3"], capture_output=True, check=True)
    assert (tmp_path / deb.name).read_bytes() == deb.read_bytes()


def test_build_refuses_what_is_no_version(tmp_path: Path) -> None:
    done = subprocess.run([BUILD, tmp_path, "latest"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "13.2.3" in done.stderr


# --- Settings ---------------------------------------------------------------------------------


def test_the_version_says_fake_without_a_server(grafana: FakeGrafana) -> None:
    for arguments in (("-v",), ("server", "-v")):
        done = subprocess.run(
            grafana.command(*arguments), capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("Version 13.2.3+fake ")


def test_health_answers_without_a_login_and_says_fake(grafana: FakeGrafana) -> None:
    grafana.up()
    assert grafana.get("/api/health", None).json["version"] == "13.2.3+fake"
    assert "not Grafana" in grafana.log.splitlines()[0]


def test_a_line_without_equals_stops_the_start_before_it_is_ready(grafana: FakeGrafana) -> None:
    grafana.configure("[security]\nadmin_user\n")
    grafana.start()
    assert grafana.exit_code() == 1
    assert "key-value delimiter not found: admin_user" in grafana.log


def test_files_and_environment_are_expanded(
    grafana: FakeGrafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("  from a file \n")
    monkeypatch.setenv("ADMIN_MAIL", "a@example.net")
    monkeypatch.setenv("GF_USERS_ALLOW_SIGN_UP", "true")
    grafana.configure(
        f"[security]\nadmin_password = $__file{{{tmp_path}/password}}\n"
        "admin_email = $__env{ADMIN_MAIL}\n"
    )
    grafana.up()
    assert grafana.get("/api/user", "admin:from a file").json["email"] == "a@example.net"
    settings = grafana.get("/api/admin/settings", "admin:from a file").json
    assert settings["users"]["allow_sign_up"] == "true"
    assert settings["security"]["admin_password"] == "*********"


def test_a_missing_file_in_the_settings_stops_the_start(grafana: FakeGrafana) -> None:
    grafana.configure("[security]\nadmin_password = $__file{/nowhere}\n")
    grafana.start()
    assert grafana.exit_code() == 1
    assert "/nowhere" in grafana.log


@pytest.mark.parametrize(
    ("written", "password"),
    [("abc;def", "abc"), ("abc#def", "abc"), ('"""a;b#c"""', "a;b#c"), ("`a;b`", "a;b")],
)
def test_a_comment_sign_ends_an_unquoted_value(
    grafana: FakeGrafana, written: str, password: str
) -> None:
    grafana.configure(f"[security]\nadmin_password = {written}\n")
    grafana.up()
    assert grafana.get("/api/user", f"admin:{password}").status == 200


# --- The administrator ------------------------------------------------------------------------


def test_the_configured_password_counts_only_for_an_empty_database(grafana: FakeGrafana) -> None:
    grafana.configure("[security]\nadmin_password = first-one\n")
    grafana.up()
    assert grafana.down() == 0
    grafana.configure("[security]\nadmin_password = second-one\n")
    grafana.up()
    assert grafana.get("/api/user", "admin:second-one").status == 401
    assert grafana.get("/api/user", "admin:first-one").json["login"] == "admin"


def test_the_command_line_resets_the_password_of_a_running_server(grafana: FakeGrafana) -> None:
    grafana.up()
    done = grafana.reset_password("otra contraseña")
    assert done.returncode == 0
    assert "Admin password changed successfully" in done.stdout
    assert grafana.get("/api/user", "admin:otra contraseña").status == 200
    assert grafana.get("/api/user").status == 401


def test_a_short_password_and_an_unknown_user_are_refused(grafana: FakeGrafana) -> None:
    grafana.up()
    assert "too short" in grafana.reset_password("abc").stderr
    assert "user not found" in grafana.reset_password("long enough", "--user-id", "7").stderr


def test_a_command_line_that_does_not_know_the_data_works_elsewhere(grafana: FakeGrafana) -> None:
    grafana.up()
    grafana.config.write_text("[server]\n")
    done = grafana.reset_password("long enough")
    assert done.returncode == 1
    assert grafana.get("/api/user").status == 200


def test_without_a_login_there_is_nothing(grafana: FakeGrafana) -> None:
    grafana.up()
    for path in ("/api/org", "/api/search", "/api/datasources", "/api/frontend/settings"):
        answer = grafana.get(path, None)
        assert (answer.status, answer.json["message"]) == (401, "Unauthorized")
    wrong = grafana.get("/api/org", "admin:wrong")
    assert (wrong.status, wrong.json["messageId"]) == (401, "password-auth.failed")


def test_five_failed_logins_lock_even_the_right_password_out(grafana: FakeGrafana) -> None:
    grafana.up()
    for _ in range(5):
        grafana.get("/api/org", "admin:wrong")
    assert grafana.get("/api/org").status == 401


def test_the_login_page_opens_a_session(grafana: FakeGrafana) -> None:
    grafana.up()
    assert "This is a fake" in grafana.get("/login", None).text
    assert grafana.get("/", None).headers["Location"].startswith("/login")
    answer = ask(f"{grafana.url}/login", method="POST", body=b"user=admin&password=admin")
    cookie = answer.headers["Set-Cookie"].split(";")[0]
    assert "Home" in ask(grafana.url + "/", Cookie=cookie).text


# --- Provisioning -----------------------------------------------------------------------------


def test_it_is_ready_before_a_broken_file_stops_it(grafana: FakeGrafana, tmp_path: Path) -> None:
    (grafana.provisioning / "datasources/broken.yaml").write_text("datasources:\n  - name: [x\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(15)
        grafana.start(tmp_path / "notify")
        assert notify.recv(64) == b"READY=1"
    assert grafana.exit_code() == 1
    assert "could not parse provisioning config file: broken.yaml" in grafana.log


def test_two_default_data_sources_stop_it(grafana: FakeGrafana) -> None:
    grafana.datasource("http://127.0.0.1:1", isDefault=True)
    grafana.datasource("http://127.0.0.1:1", "b.yaml", name="B", uid="b", isDefault=True)
    grafana.start()
    assert grafana.exit_code() == 1
    assert "Only one datasource per organization can be marked as default" in grafana.log


def test_a_data_source_is_really_asked(grafana: FakeGrafana, prometheus: Prometheus) -> None:
    grafana.datasource(prometheus.url, isDefault=True)
    grafana.up()
    health = grafana.get("/api/datasources/uid/prometheus/health")
    assert health.json["message"] == "Successfully queried the Prometheus API."
    assert grafana.get("/api/frontend/settings").json["defaultDatasource"] == "Prometheus"
    source = grafana.get("/api/datasources/uid/prometheus")
    assert source.json["secureJsonFields"] == {"basicAuthPassword": True}
    assert "secret" not in source.text


def test_a_data_source_with_a_wrong_password_fails(
    grafana: FakeGrafana, prometheus: Prometheus
) -> None:
    prometheus.credentials = "monitor:another"
    grafana.datasource(prometheus.url)
    grafana.up()
    health = grafana.get("/api/datasources/uid/prometheus/health")
    assert health.status == 400
    assert "401 Unauthorized" in health.json["message"]


def test_a_dollar_in_a_provisioned_password_must_be_doubled(
    grafana: FakeGrafana, prometheus: Prometheus, tmp_path: Path
) -> None:
    prometheus.credentials = "monitor:pa$HOME$"
    (tmp_path / "password").write_text("pa$HOME$")
    for written, status in (
        ("pa$$HOME$$", 200),
        ("pa$HOME$", 400),
        (f"$__file{{{tmp_path}/password}}", 400),
    ):
        grafana.datasource(prometheus.url, secureJsonData={"basicAuthPassword": written})
        grafana.up()
        assert grafana.get("/api/datasources/uid/prometheus/health").status == status
        grafana.down()


def test_data_source_files_are_read_at_start_only(grafana: FakeGrafana) -> None:
    grafana.up()
    grafana.datasource("http://127.0.0.1:1")
    assert grafana.get("/api/datasources").json == []
    grafana.down()
    grafana.up()
    assert [s["uid"] for s in grafana.get("/api/datasources").json] == ["prometheus"]


def test_a_changed_uid_keeps_the_rest_from_being_provisioned(grafana: FakeGrafana) -> None:
    grafana.datasource("http://127.0.0.1:1", uid="old")
    grafana.up()
    grafana.down()
    grafana.datasource("http://127.0.0.1:1", uid="new")
    grafana.datasource("http://127.0.0.1:1", "z.yaml", name="Later", uid="later")
    grafana.up()
    assert [s["uid"] for s in grafana.get("/api/datasources").json] == ["old"]
    assert "data source not found" in grafana.log


def test_a_provisioned_data_source_cannot_be_changed(grafana: FakeGrafana) -> None:
    grafana.datasource("http://127.0.0.1:1")
    grafana.up()
    answer = grafana.get("/api/datasources/uid/prometheus", method="DELETE")
    assert (answer.status, answer.json["message"]) == (403, "Cannot delete read-only data source")


def test_dashboards_follow_their_files(grafana: FakeGrafana) -> None:
    grafana.provide()
    path = grafana.dashboard("one", "One", id=17)
    grafana.up()
    until(lambda: grafana.titles() == ["One"], "the first dashboard")
    assert grafana.get("/api/dashboards/uid/one").json["meta"]["provisioned"] is True
    grafana.dashboard("one", "Changed")
    until(lambda: grafana.titles() == ["Changed"], "a changed dashboard")
    path.unlink()
    until(lambda: grafana.titles() == [], "a removed dashboard")
    assert grafana.get("/api/dashboards/uid/one").status == 404


def test_provider_files_are_read_at_start_only(grafana: FakeGrafana) -> None:
    grafana.dashboard("one", "One")
    grafana.up()
    grafana.provide()
    assert grafana.titles() == []
    grafana.down()
    grafana.up()
    until(lambda: grafana.titles() == ["One"], "the dashboard of the new provider")


@pytest.mark.parametrize(
    ("uid", "title", "message"),
    [
        ("one", "Another", "the same UID is used more than once"),
        ("another", "One", "dashboard title is not unique in folder"),
    ],
)
def test_a_duplicate_bars_the_whole_provider(
    grafana: FakeGrafana, uid: str, title: str, message: str
) -> None:
    grafana.provide()
    grafana.dashboard("one", "One", "a")
    grafana.dashboard("innocent", "Innocent")
    duplicate = grafana.dashboard(uid, title, "b")
    grafana.up()
    until(lambda: "no database write permissions" in grafana.log, "the warning")
    assert message in grafana.log
    assert grafana.titles() == []
    duplicate.unlink()
    until(lambda: grafana.titles() == ["Innocent", "One"], "the others, once it is gone")


def test_a_broken_dashboard_is_logged_and_the_others_are_there(grafana: FakeGrafana) -> None:
    grafana.provide()
    grafana.dashboard("one", "One")
    (grafana.files / "broken.json").write_text("{")
    (grafana.files / "untitled.json").write_text('{"uid": "x"}')
    grafana.up()
    until(lambda: grafana.titles() == ["One"], "the good dashboard")
    assert "Dashboard title cannot be empty" in grafana.log
    assert "broken.json" in grafana.log


def test_the_home_dashboard_is_the_configured_file(grafana: FakeGrafana) -> None:
    path = grafana.dashboard("one", "One")
    grafana.configure(f"[dashboards]\ndefault_home_dashboard_path = {path}\n")
    grafana.up()
    assert grafana.get("/api/dashboards/home").json["dashboard"]["title"] == "One"


# --- Queries ----------------------------------------------------------------------------------


def test_queries_reach_prometheus(grafana: FakeGrafana, prometheus: Prometheus) -> None:
    grafana.datasource(prometheus.url)
    grafana.up()
    proxied = grafana.get("/api/datasources/proxy/uid/prometheus/api/v1/query?query=up")
    assert proxied.json["data"]["result"][0]["value"][1] == "42"
    source = {"uid": "prometheus"}
    request = {
        "from": "now-5m",
        "to": "now",
        "queries": [
            {"refId": "A", "datasource": source, "expr": "up", "instant": True},
            {"refId": "B", "datasource": source, "expr": "rate(x[1m])", "range": True},
        ],
    }
    answer = grafana.get("/api/ds/query", body=json.dumps(request).encode())
    frames = {key: value["frames"][0] for key, value in answer.json["results"].items()}
    assert frames["A"]["data"]["values"] == [[1700000000500], [42.0]]
    assert frames["B"]["data"]["values"][1] == [1.0, 2.0]
    assert frames["A"]["schema"]["fields"][1]["labels"] == {"instance": "a"}
    assert prometheus.queries == ["up", "up", "rate(x[1m])"]


def test_a_dashboards_page_shows_its_panels_values(
    grafana: FakeGrafana, prometheus: Prometheus
) -> None:
    source = {"type": "prometheus", "uid": "prometheus"}
    panel = {"title": "CPU (%)", "datasource": source, "targets": [{"refId": "A", "expr": "up"}]}
    grafana.datasource(prometheus.url)
    grafana.provide()
    grafana.dashboard("one", "One", panels=[panel])
    grafana.up()
    until(lambda: grafana.titles() == ["One"], "the dashboard")
    page = grafana.get("/d/one/one").text
    assert "CPU (%)" in page
    assert "42.00" in page
    assert "This is a fake" in page


def test_metrics_can_be_switched_off(grafana: FakeGrafana) -> None:
    grafana.up()
    assert "grafana_build_info" in grafana.get("/metrics", None).text
    grafana.down()
    grafana.configure("[metrics]\nenabled = false\n")
    grafana.up()
    assert grafana.get("/metrics", None).status == 404


@pytest.mark.parametrize(("settings", "status"), [({}, 400), ({"tlsSkipVerify": True}, 200)])
def test_a_certificate_that_signs_itself_will_do_where_that_is_said(
    settings: dict[str, bool],
    status: int,
    grafana: FakeGrafana,
    prometheus: Prometheus,
    tmp_path: Path,
) -> None:
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost"]
    command += ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    subprocess.run(command, capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    prometheus.socket = context.wrap_socket(prometheus.socket, server_side=True)
    grafana.datasource(prometheus.url.replace("http:", "https:"), jsonData=settings)
    grafana.up()
    assert grafana.get("/api/datasources/uid/prometheus/health").status == status
