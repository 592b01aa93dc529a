"""What many clients, slow clients and faults do to the web application; prints figures.

For two minutes instead of seconds: `./lab run python -m tests.bench.webapp --attack 120`.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from testinfra.host import Host

from tests.ask import ask, wait_until
from tests.load import BODIES, Outcome, attack, latency, settled, slow_bodies, states

# Seconds.
ATTACK = 20.0
BODY_ATTACK = 10.0
# A request waits 5 for a free connection to MySQL and 3 for a new one, and a statement takes at
# most 10; Apache, which has the last word, gives up after 30.
LONGEST = 25.0
# `docker stop` of a service that answers what it has begun.
DRAIN = 10.0


@pytest.fixture
def containers(host: Host) -> Iterator[Callable[[], dict[str, object]]]:
    """The containers' states; a test must not leave the host's memory exhausted."""
    script = (
        "cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null"
        " | sed -n 's/^oom_kill //p'"
    )
    before = host.check_output(script)
    yield lambda: states(host.check_output)
    assert host.check_output(script) == before


def memory(host: Host) -> str:
    command = "docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' | sort"
    stats: str = host.check_output(command)
    return stats.replace("\n", ", ")


def test_many_and_slow_clients_stop_nothing(
    host: Host, address: str, containers: Callable[[], dict[str, object]]
) -> None:
    before, normal = containers(), latency(address)
    outcome = attack(address, ATTACK)
    calm = settled(address, normal, 10)
    print(f"\n{outcome.table()}; as before after {calm:.1f} s; {memory(host)}")
    # 0: a client that gave up, or was refused a connection.
    assert not [status for status in outcome.statuses if status >= 500 and status != 503]
    assert outcome.statuses[200] > 0
    # Slow ones are not kept for ever.
    assert outcome.cut > 0
    assert containers() == before


@pytest.fixture(scope="module")
def calm(address: str) -> Outcome:
    """What one client sees while no form comes slowly."""
    return slow_bodies(address, BODY_ATTACK, next(iter(BODIES)), slow=0)


@pytest.mark.parametrize("kind", BODIES)
def test_slow_bodies_hold_up_nobody(
    address: str, containers: Callable[[], dict[str, object]], calm: Outcome, kind: str
) -> None:
    """A body that has not come yet holds none of Flask's threads, of which there are few."""
    before = containers()
    outcome = slow_bodies(address, BODY_ATTACK, kind)
    print(f"\nwithout: {calm.table()}\n{kind}: {outcome.table()}")
    assert set(outcome.statuses) == {200}
    # The slow ones take some of the processor, too; of a full pool of threads a hundredth is left.
    assert outcome.statuses[200] > calm.statuses[200] / 4
    assert containers() == before


@pytest.fixture
def no_tries(host: Host, address: str) -> Iterator[None]:
    """Wrong passwords are forgotten, before and after."""

    def forget() -> None:
        host.check_output("docker restart webapp-flask-app-1")
        wait_until(lambda: ask(f"http://{address}/readyz").status == 200, 60)

    forget()
    yield
    forget()


@pytest.mark.usefixtures("no_tries")
def test_twenty_logins_at_once_fit_into_memory(
    host: Host, address: str, containers: Callable[[], dict[str, object]]
) -> None:
    before = containers()
    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(
            lambda n: ask(f"http://{address}/api/users", f"nobody-{n}", "wrong password").status,
            range(20),
        )
        statuses = list(answers)
    print(f"\n20 logins at once: {sorted(statuses)}; {memory(host)}")
    # Each was looked at, and none cost the process its life; 429: at last its turn did not come.
    assert set(statuses) <= {401, 429}
    assert 401 in statuses
    assert containers() == before


@contextmanager
def under_load(address: str, seconds: float) -> Iterator[Future[Outcome]]:
    """Some clients in the background; the outcome is there afterwards."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(attack, address, seconds, clients=16, slow=0)


def test_mysql_away_and_back_under_load(
    host: Host, address: str, containers: Callable[[], dict[str, object]]
) -> None:
    before = containers()

    def ready() -> bool:
        return ask(f"http://{address}/readyz").status == 200

    with under_load(address, 25) as running:
        assert ready()
        try:
            host.check_output("docker stop webapp-mysql-1")
            red = wait_until(lambda: ask(f"http://{address}/readyz").status == 503, 15)
            assert ask(f"http://{address}/healthz").status == 200
        finally:
            host.check_output("docker start webapp-mysql-1")
        green = wait_until(ready, 60)
        outcome = running.result()
    print(f"\n{outcome.table()}; red after {red:.1f} s, green again after {green:.1f} s")
    assert set(outcome.statuses) <= {200, 503}
    assert outcome.slowest < LONGEST
    after = containers()
    del before["/webapp-mysql-1"], after["/webapp-mysql-1"]
    assert after == before


@pytest.fixture
def product(address: str, admin_password: str) -> Iterator[str]:
    """The path of a product."""
    path = _send(address, admin_password, "POST", "/api/products", name="slow")[1]
    yield path
    wait_until(lambda: _send(address, admin_password, "DELETE", path)[0] in {204, 404}, 60)


def _send(address: str, password: str, method: str, path: str, name: str = "") -> tuple[int, str]:
    """Send a request of the administrator; the status and where the new one is."""
    connection = http.client.HTTPConnection(address, timeout=40)
    pair = base64.b64encode(f"admin:{password}".encode()).decode()
    body = json.dumps({"name": name, "description": "", "price": "1.00", "stock": 1})
    headers = {
        "Authorization": f"Basic {pair}",
        "Content-Type": "application/json",
        # A PUT replaces whatever is there.
        "If-Match": "*",
    }
    try:
        connection.request(method, path, body if name else None, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Location", "")
    except OSError:
        return 0, ""
    finally:
        connection.close()


MYSQL = "docker exec webapp-mysql-1 mysql --defaults-file=/run/mysqld/webapp.cnf webapp -e %s"
IN_FLIGHT = """
import urllib.request
text = urllib.request.urlopen("http://127.0.0.1:5000/metrics").read().decode()
print(next(line.split()[1] for line in text.splitlines() if line.startswith("http_requests_in_fl")))
"""


@pytest.mark.parametrize("service", ["flask-app", "apache"])
def test_a_stop_lets_requests_under_way_be_answered(
    host: Host, address: str, admin_password: str, product: str, service: str
) -> None:
    """Somebody else holds the product's row for some seconds; meanwhile the service is stopped."""
    row = f"SELECT id FROM products WHERE id = {int(product.rpartition('/')[2])} FOR UPDATE"  # noqa: S608 - int() lets only a number through

    def held() -> bool:
        return bool(host.run(MYSQL, f"{row} NOWAIT").rc != 0)

    def under_way() -> bool:
        # Besides the request that asks.
        return float(host.check_output("python3 -c %s", IN_FLIGHT)) >= 2

    with ThreadPoolExecutor(2) as pool:
        holder = pool.submit(host.run, MYSQL, f"BEGIN; {row}; SELECT SLEEP(5)")
        try:
            wait_until(held, 10)
            change = pool.submit(_send, address, admin_password, "PUT", product, "changed")
            wait_until(under_way, 10)
            began = time.monotonic()
            host.check_output("docker stop webapp-%s-1", service)
            stopped = time.monotonic() - began
            status, _ = change.result()
        finally:
            holder.result()
            host.check_output("docker start webapp-%s-1", service)
    wait_until(lambda: ask(f"http://{address}/readyz").status == 200, 60)
    print(f"\n{service} stopped in {stopped:.1f} s; the request under way got {status}")
    assert status == 200
    assert stopped < DRAIN
