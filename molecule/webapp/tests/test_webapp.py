"""The web application on a converged host, for a visitor, an administrator and an attacker."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from testinfra.host import Host

from tests.ask import wait_until

SECRETS = "/etc/labstack/secrets"
SERVICES = ("apache", "flask-app", "mysql")
PRODUCT = {"name": "Té verde", "description": "Hojas enteras", "price": "12.50", "stock": 3}


class Response:
    """An answer of the web server."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


Send = Callable[..., Response]


@pytest.fixture(scope="module")
def send(address: str, admin_password: str) -> Send:
    """Send a request from the controller: send("POST", "/api/products", {...}, admin=True)."""

    def request(
        method: str, path: str, body: Any = None, *, admin: bool = False, **headers: str
    ) -> Response:
        connection = http.client.HTTPConnection(address, timeout=10)
        if admin:
            pair = base64.b64encode(f"admin:{admin_password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        content = None
        if body is not None:
            content = json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection.request(method, path, content, headers)
        try:
            return Response(connection.getresponse())
        finally:
            connection.close()

    return request


def inspect(host: Host, service: str) -> dict[str, Any]:
    output = host.check_output("docker inspect webapp-%s-1", service)
    found: dict[str, Any] = json.loads(output)[0]
    return found


def test_the_three_services_are_healthy(host: Host) -> None:
    assert {inspect(host, s)["State"]["Health"]["Status"] for s in SERVICES} == {"healthy"}


def test_a_visitor_sees_the_pages(send: Send) -> None:
    for path, title in (("/login", "Iniciar sesión"), ("/products", "Productos")):
        answer = send("GET", path)
        assert answer.status == 200
        assert f"<h1>{title}</h1>" in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Server"] == "Apache"


def test_a_product_lives_from_post_to_delete(send: Send) -> None:
    created = send("POST", "/api/products", PRODUCT, admin=True)
    assert created.status == 201
    path = created.headers["Location"]
    try:
        assert send("GET", path).json["price"] == "12.50"
        assert "12,50\xa0€" in send("GET", "/products").text
        changed = {**PRODUCT, "stock": 2}
        any_version = {"If-Match": "*"}
        assert send("PUT", path, changed, admin=True).status == 428
        assert send("PUT", path, changed, admin=True, **any_version).json["stock"] == 2
        assert send("PUT", path, changed, **any_version).status == 401
    finally:
        assert send("DELETE", path, admin=True).status == 204
    assert send("GET", path).status == 404


def test_a_users_password_never_comes_back(send: Send) -> None:
    user = {
        "name": "Ana",
        "email": "ana@example.com",
        "username": "ana",
        "password": "unmistakable lamp",
    }
    created = send("POST", "/api/users", user, admin=True)
    assert created.status == 201
    path = created.headers["Location"]
    try:
        listed = send("GET", "/api/users", admin=True)
        assert "unmistakable" not in created.text + listed.text
        assert "password" not in listed.text
        assert ">ana<" in send("GET", "/users", admin=True).text
        assert send("POST", "/api/users", user, admin=True).status == 409
    finally:
        send("DELETE", path, admin=True)


def test_users_need_a_login(send: Send) -> None:
    answer = send("GET", "/api/users")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    page = send("GET", "/users")
    assert (page.status, page.headers["Location"]) == (303, "/login?next=/users")


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/./metrics", "/METRICS",
             "/x/../metrics", "/metrics?x=1", "/metrics;x"]
)  # fmt: skip
def test_the_metrics_are_for_the_host_alone(host: Host, send: Send, path: str) -> None:
    answer = send("GET", path, admin=True)
    assert answer.status in {308, 403, 404}
    assert "http_requests_total" not in answer.text
    here = host.check_output("curl -sf http://127.0.0.1:5000/metrics || true")
    there = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:5000/metrics').read())"
    assert "http_requests_total" in (here or host.check_output("python3 -c %s", there))


def test_a_client_does_not_choose_its_address_scheme_or_number(host: Host, send: Send) -> None:
    """Else it would have as many tries as addresses, and cookies for the wrong scheme."""
    login = "Basic " + base64.b64encode(b"nobody-molecule:x").decode()
    statuses = []
    for number in range(7):
        headers = {
            "Authorization": login,
            "X-Forwarded-For": f"10.9.8.{number}",
            "X-Real-Ip": f"10.9.8.{number}",
            "Forwarded": f"for=10.9.8.{number}",
            "X-Forwarded-Proto": "https",
            "X-Request-Id": "chosen-by-the-client",
        }
        answer = send("GET", "/api/users", **headers)
        assert answer.headers["X-Request-Id"] != "chosen-by-the-client"
        statuses.append(answer.status)
    assert statuses[-1] == 429
    page = send("GET", "/login", **{"X-Forwarded-Proto": "https"})
    assert "Secure" not in page.headers["Set-Cookie"]
    assert "10.9.8." not in host.check_output("docker logs --tail 20 webapp-flask-app-1 2>&1")


def test_the_cookie_of_https_stays_on_https(address: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, context=context, timeout=10)
    connection.request("GET", "/login")
    cookie = connection.getresponse().headers["Set-Cookie"]
    connection.close()
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}


def test_too_large_a_request_is_refused_in_json(send: Send) -> None:
    for size in (100_000, 1_500_000, 10_000_000):
        answer = send("POST", "/api/products", {"name": "x" * size}, admin=True)
        assert answer.status == 413
        assert answer.json["status"] == 413


def test_a_small_body_needs_no_length(address: str, admin_password: str) -> None:
    pair = base64.b64encode(f"admin:{admin_password}".encode()).decode()
    connection = http.client.HTTPConnection(address, timeout=10)
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {pair}"}
    body = (b" " * 5000 for _ in range(3))
    connection.request("POST", "/api/products", body, headers, encode_chunked=True)
    answer = Response(connection.getresponse())
    connection.close()
    # Flask has read all of it: blanks are no JSON.
    assert answer.status == 400


@pytest.mark.parametrize("chunks", [2, 40, 200])
def test_too_large_a_request_without_a_length_is_413(
    address: str, admin_password: str, chunks: int
) -> None:
    pair = base64.b64encode(f"admin:{admin_password}".encode()).decode()
    connection = http.client.HTTPConnection(address, timeout=10)
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {pair}"}
    body = (b" " * 50_000 for _ in range(chunks))
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", "/api/products", body, headers, encode_chunked=True)
    answer = Response(connection.getresponse())
    connection.close()
    assert answer.status == 413
    assert answer.json["status"] == 413


LINES = {
    400: "GET {}a%zz",
    404: "GET {}a%2fb",
    405: "TRACE {}",
    414: "GET {}" + "a" * 5000,
    417: "GET {} HTTP/1.1\r\nExpect: cake\r\nX:",
}


@pytest.mark.parametrize("status", LINES)
@pytest.mark.parametrize("below", ["/api/", "/"])
def test_what_apache_refuses_by_itself_is_told_to_programs_and_to_people(
    address: str, status: int, below: str
) -> None:
    with socket.create_connection((address, 80), timeout=10) as connection:
        line = LINES[status].format(below)
        connection.sendall(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        answer = Response(response)
    assert answer.status == status
    if below == "/":
        assert 'lang="es"' in answer.text
        assert 'lang="en"' in answer.text
    else:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert set(answer.json) == {"type", "title", "status", "detail", "errors"}
        assert answer.json["status"] == status


def test_what_people_search_for_is_not_in_apaches_log(host: Host, send: Send) -> None:
    found = "somebody@example.org"
    page = send("GET", f"/products?q={found}", Referer=f"http://x/products?q={found}")
    log = host.check_output("docker logs --tail 20 webapp-apache-1 2>&1")
    assert page.headers["X-Request-Id"] in log
    assert "/products" in log
    assert found not in log


def test_a_request_is_found_in_the_log_by_its_number(host: Host, send: Send) -> None:
    product = {**PRODUCT, "name": "numbered"}
    answer = send("POST", "/api/products", product, admin=True)
    assert answer.status == 201
    send("DELETE", answer.headers["Location"], admin=True)
    number = answer.headers["X-Request-Id"]
    for service in ("apache", "flask-app"):
        assert number in host.check_output(f"docker logs --tail 20 webapp-{service}-1 2>&1")


def test_https_serves_the_hosts_own_certificate(host: Host, address: str) -> None:
    certificate = host.file("/etc/labstack/tls/cert.pem").content_string
    context = ssl.create_default_context(cadata=certificate)
    connection = http.client.HTTPSConnection(address, context=context, timeout=10)
    connection.request("GET", "/products")
    assert connection.getresponse().status == 200
    connection.close()


@pytest.fixture
def other_apache(host: Host) -> Iterator[Callable[..., str]]:
    """Start a second Apache of the same image: other_apache(WEBAPP_HTTPS_REDIRECT="always")."""
    name = "webapp-test-apache"

    def start(**environment: str) -> str:
        host.run(f"docker rm --force {name}")
        variables = " ".join(f"-e {key}={value}" for key, value in environment.items())
        tls = "/etc/labstack/tls"
        host.check_output(
            f"docker run -d --name {name} --user 33:33 --group-add 10001 --read-only {variables}"
            f" --tmpfs /run/apache:uid=33,gid=33 --network webapp_front"
            f" -v {tls}:/run/tls:ro -v /etc/labstack/edge:/run/edge:ro"
            f" {inspect(host, 'apache')['Image']}"
        )
        wait_until(lambda: host.run(f"docker exec {name} apache-healthcheck").rc == 0, 20)
        return name

    yield start
    host.run(f"docker rm --force {name}")


def redirect(host: Host, container: str, path: str) -> str:
    """Where a visitor of http://lab.example.org is sent to; empty if nowhere."""
    request = f"GET {path} HTTP/1.0\\r\\nHost: lab.example.org\\r\\n\\r\\n"
    script = f"exec 3<>/dev/tcp/127.0.0.1/8080; printf '{request}' >&3; cat <&3"
    answer = host.check_output(f'docker exec {container} bash -c "{script}"')
    found = [line for line in answer.splitlines() if line.lower().startswith("location:")]
    return found[0].split(maxsplit=1)[1].strip() if found else ""


def test_http_leads_to_https_when_it_is_told_to(
    host: Host, other_apache: Callable[..., str]
) -> None:
    apache = other_apache(WEBAPP_HTTPS_REDIRECT="always", WEBAPP_HTTPS_PORT="8443")
    assert redirect(host, apache, "/products?a=b") == "https://lab.example.org:8443/products?a=b"
    assert redirect(host, apache, "/healthz") == ""
    apache = other_apache(WEBAPP_HTTPS_REDIRECT="always")
    assert redirect(host, apache, "/") == "https://lab.example.org/"
    # As long as browsers would warn there, nobody is sent there.
    assert redirect(host, other_apache(WEBAPP_HTTPS_REDIRECT="auto"), "/products") == ""


def test_old_tls_is_refused(host: Host) -> None:
    command = "openssl s_client -connect 127.0.0.1:443 -tls1_1 -cipher DEFAULT@SECLEVEL=0"
    assert host.run(f"{command} </dev/null").rc != 0
    assert host.run("openssl s_client -connect 127.0.0.1:443 -tls1_2 </dev/null").rc == 0


def test_only_http_and_https_are_open_to_everybody(host: Host) -> None:
    published = inspect(host, "apache")["NetworkSettings"]["Ports"].values()
    ports = {
        entry["HostPort"]
        for entries in published
        for entry in entries or []
        if not entry["HostIp"].startswith("127.")
    }
    assert ports == {"80", "443"}
    assert not inspect(host, "flask-app")["HostConfig"]["PortBindings"]
    # Flask past what people meet, for the host's Prometheus; MySQL for the exporter of the host.
    bindings = inspect(host, "apache")["HostConfig"]["PortBindings"]
    assert bindings["5000/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "5000"}]
    bindings = inspect(host, "mysql")["HostConfig"]["PortBindings"]
    assert bindings == {"3306/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3306"}]}


def test_no_secret_is_where_it_does_not_belong(host: Host) -> None:
    names = host.check_output(f"ls {SECRETS}").split()
    secrets = [host.file(f"{SECRETS}/{name}").content_string.strip() for name in names]
    assert len([name for name in names if name.startswith("webapp_")]) == 6
    places = [
        host.check_output("ps axww -o args"),
        host.check_output("cat /opt/webapp/current/.env"),
    ]
    for service in SERVICES:
        places += [
            json.dumps(inspect(host, service)),
            host.check_output(f"docker logs webapp-{service}-1 2>&1"),
            host.check_output("docker history --no-trunc %s", inspect(host, service)["Image"]),
        ]
    assert not [secret for secret in secrets for place in places if secret in place]


def test_a_container_has_no_rights_to_misuse(host: Host) -> None:
    for service in SERVICES:
        status = host.check_output(f"docker exec webapp-{service}-1 cat /proc/1/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert "0" not in fields["Uid"].split()
        assert int(fields["CapBnd"], 16) == 0
        assert fields["NoNewPrivs"].strip() == "1"
        assert host.run(f"docker exec webapp-{service}-1 touch /etc/x").rc != 0


def test_memory_stays_under_the_limits(host: Host) -> None:
    output = host.check_output("docker stats --no-stream --format '{{.MemPerc}}'")
    assert all(float(line.rstrip("%")) < 90 for line in output.split())


def test_a_restart_of_each_service_is_survived(host: Host, send: Send) -> None:
    created = send("POST", "/api/products", PRODUCT, admin=True)
    assert created.status == 201
    path = created.headers["Location"]
    try:
        for service in SERVICES:
            host.check_output("docker restart webapp-%s-1", service)
            wait_until(lambda: _answers(send, path), 60)
    finally:
        send("DELETE", path, admin=True)


def _answers(send: Send, path: str) -> bool:
    try:
        return send("GET", path).status == 200
    except OSError:
        return False


@pytest.fixture
def without_flask(host: Host, send: Send) -> Iterator[None]:
    """Flask is away."""
    host.check_output("docker stop webapp-flask-app-1")
    yield
    host.check_output("docker start webapp-flask-app-1")
    wait_until(lambda: _answers(send, "/readyz"), 60)


@pytest.mark.usefixtures("without_flask")
def test_without_flask_people_get_a_page_and_programs_json(host: Host, send: Send) -> None:
    page = send("GET", "/")
    assert page.status == 503
    assert "Volvemos enseguida" in page.text
    assert "Back in a moment" in page.text
    assert page.headers["Retry-After"]
    answer = send("GET", "/api/products")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["status"] == 503
    # Apache starts without it, too.
    host.check_output("docker restart webapp-apache-1")
    wait_until(lambda: inspect(host, "apache")["State"]["Health"]["Status"] == "healthy", 30)
    assert send("GET", "/").status == 503


@pytest.fixture
def other_mysql(host: Host) -> Iterator[str]:
    """The name of a second MySQL of the same image, on a volume of its own."""
    name = "webapp-test-mysql"
    host.check_output(f"docker rm --force {name}; docker volume rm --force {name}")
    image = inspect(host, "mysql")["Config"]["Image"]
    mounts = " ".join(
        f"-v {SECRETS}/{secret}:/run/secrets/{secret}:ro"
        for secret in (
            "webapp_db_password",
            "webapp_db_migration_password",
            "webapp_db_root_password",
        )
    )
    tmpfs = "--tmpfs /run/mysqld:uid=999,gid=999 --tmpfs /tmp:uid=999,gid=999"
    host.check_output(
        f"docker create --name {name} --user 999:999 --group-add 10001 --read-only --cap-drop ALL"
        f" --memory 320m {tmpfs} {mounts} -v {name}:/var/lib/mysql {image}"
    )
    yield name
    host.check_output(f"docker rm --force {name}; docker volume rm --force {name}")


def test_mysqls_first_start_may_be_killed_half_way(host: Host, other_mysql: str) -> None:
    directory = f"/var/lib/docker/volumes/{other_mysql}/_data"
    host.check_output(f"docker start {other_mysql}")
    # Some way into it: the system tables are being made.
    wait_until(lambda: host.file(f"{directory}/mysql.ibd").exists, 30)
    host.check_output(f"docker kill {other_mysql}")
    assert host.file(f"{directory}/.initialising").exists
    host.check_output(f"docker start {other_mysql}")
    check = f"docker exec {other_mysql} mysql-healthcheck"
    wait_until(lambda: host.run(check).rc == 0, 60)
    assert "cut short" in host.check_output(f"docker logs {other_mysql} 2>&1")


def test_one_release_serves_and_its_images_are_the_only_old_ones(host: Host) -> None:
    settings = host.file("/opt/webapp/current/.env").content_string
    for service, name in zip(SERVICES, ("APACHE", "FLASK", "MYSQL"), strict=True):
        tag = inspect(host, service)["Config"]["Image"].removeprefix(f"labstack/{service}:")
        assert f"\nWEBAPP_{name}_TAG={tag}\n" in settings
    releases = host.check_output("ls -A /opt/webapp/releases").split()
    known = host.check_output("cat /opt/webapp/releases/*/.env")
    tags = host.check_output("docker image ls --format '{{.Tag}}' --filter reference='labstack/*'")
    assert [tag for tag in tags.split() if f"_TAG={tag}\n" not in f"{known}\n"] == []
    assert len(releases) <= 3
