"""Measures the web application under load: `./lab run python -m tests.bench.webapp`.

The three containers share processor 0, the load generator (wrk) has processor 1; 16 clients ask
through Apache. Measured are /healthz, one product (a SELECT by primary key) and a list of 50 out of
10,000 products, which are made for the bench and removed after it. In the same run, round by round:

  baseline   gunicorn's sync workers, a connection to MySQL for each request, none kept by Apache
  gunicorn   the application in gunicorn's threads
  deployed   the application as it is deployed; also over HTTPS

Prints requests a second, latency, refused requests, processor time a request, and memory: medians
of the rounds. Other load on the machine changes all but the processor time; `load` is printed, and
figures of different runs compare only when both were calm. With --attack SECONDS: what many and
slow clients and slow bodies do to it instead (tests/load.py).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab import ROOT, Lab
from tests.load import BODIES, attack, latency, settled, slow_bodies, states

HERE = Path(__file__).parent
SERVICES = ("flask-app", "apache", "mysql")
CLIENTS = 16
CONVERGE = "molecule/webapp/converge.yml"
FOLDER = "/home/ubuntu/bench"
IMAGE = "labstack/bench-gunicorn"
# Makes 10,000 products, and shows the id of one.
SEED = """
SET SESSION cte_max_recursion_depth = 10000;
INSERT INTO products (name, description, price, stock)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
SELECT CONCAT('bench-product-', i), 'One of many products of the same kind', i / 7, i FROM n;
SELECT MAX(id) FROM products;
"""
UNSEED = "DELETE FROM products WHERE name LIKE 'bench-product-%'"

# Says what each container has used: processor time (ns) and memory without idle file cache (bytes).
USED = """
import http.client, json, socket
for name in {names!r}:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("/var/run/docker.sock")
    connection.request("GET", f"/containers/webapp-{{name}}-1/stats?stream=false&one-shot=true")
    found = json.load(connection.getresponse())
    memory = found["memory_stats"]
    idle = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
    print(name, found["cpu_stats"]["cpu_usage"]["total_usage"], memory["usage"] - idle)
"""

DEPLOYED = "services: {}\n"
GUNICORN = f"""\
services:
  flask-app:
    image: {IMAGE}
    command: [gunicorn, --bind=0.0.0.0:5000, --worker-class=gthread, --threads=8, --preload,
              --keep-alive=75, --worker-tmp-dir=/dev/shm, --no-control-socket,
              "webapp:create_app()"]
"""
BASELINE = f"""\
services:
  flask-app:
    image: {IMAGE}
    command: [gunicorn, --bind=0.0.0.0:5000, --worker-class=sync, --workers=3, --no-control-socket,
              --worker-tmp-dir=/dev/shm, --pythonpath=/bench, "webapp_baseline:app"]
    mem_limit: 512m
    volumes: ["{FOLDER}:/bench:ro"]
  apache:
    command: [httpd-foreground, -f, {FOLDER}/httpd.conf]
    volumes: ["{FOLDER}:{FOLDER}:ro"]
"""
VARIANTS = {"baseline": BASELINE, "gunicorn": GUNICORN, "deployed": DEPLOYED}


class BenchError(RuntimeError):
    """The bench cannot measure; the message says why."""


@dataclass(frozen=True)
class Figures:
    """What one measurement gave.

    Attributes:
        rate: answers a second.
        p50: milliseconds within which half of the answers came.
        p99: milliseconds within which 99 of 100 came.
        refused: answers other than 2xx, and connections that broke.
        cost: microseconds of processor time a request, by container.
    """

    rate: float
    p50: float
    p99: float
    refused: int
    cost: dict[str, float]


def on_host(lab: Lab, command: str, text: str = "") -> str:
    """Runs a shell command on the host and returns what it prints. Raises BenchError."""
    done = lab.ssh(command, text)
    if done.returncode != 0:
        raise BenchError(f"`{command}` failed on the host:\n{done.stdout}{done.stderr}")
    return done.stdout


def sql(lab: Lab, statements: str) -> str:
    """Runs SQL as the application's user and returns the rows."""
    command = (
        "sudo docker exec -i webapp-mysql-1 mysql --defaults-file=/run/mysqld/webapp.cnf -N webapp"
    )
    return on_host(lab, command, statements).strip()


def seed(lab: Lab) -> int:
    """Makes the products; returns the id of one."""
    sql(lab, UNSEED)
    return int(sql(lab, SEED))


def used(lab: Lab) -> dict[str, tuple[int, int]]:
    """Processor time (ns) and memory (bytes) of each container so far."""
    lines = on_host(lab, "sudo python3 -", USED.format(names=SERVICES)).splitlines()
    return {name: (int(cpu), int(memory)) for name, cpu, memory in map(str.split, lines)}


def prepare(lab: Lab) -> None:
    """Brings the variants' files and image to the host."""
    conf = (ROOT / "app/edge/httpd.conf").read_text()
    conf, found = re.subn(
        r"^( +ProxySet ).*$", r"\1retry=0 disablereuse=On", conf, flags=re.MULTILINE
    )
    if found != 1:
        raise BenchError("app/edge/httpd.conf has not exactly one line `ProxySet ...`")
    names = "sudo docker ps --filter label=com.docker.compose.service=flask-app --format {{.Image}}"
    image = on_host(lab, names).strip()
    files = {
        "httpd.conf": conf,
        "webapp_baseline.py": (HERE / "webapp_baseline.py").read_text(),
        "requirements.txt": (HERE / "webapp_gunicorn.txt").read_text(),
        "Dockerfile": (
            f"FROM {image}\nUSER 0\nCOPY requirements.txt .\n"
            "RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check"
            " --require-hashes --requirement requirements.txt\nUSER 10001:10001\n"
        ),
        **{f"{name}.yaml": content for name, content in VARIANTS.items()},
    }
    on_host(lab, f"mkdir -p {FOLDER} && chmod 0755 /home/ubuntu {FOLDER}")
    for name, content in files.items():
        on_host(lab, f"cat > {FOLDER}/{name}", content)
    on_host(lab, f"sudo docker build -q -t {IMAGE} {FOLDER}")


def deploy(lab: Lab, variant: str) -> None:
    """Starts a variant, on processor 0."""
    compose = f"sudo docker compose -f compose.yaml -f {FOLDER}/{variant}.yaml"
    # Without the migration, which has run.
    on_host(
        lab,
        f"cd /opt/webapp/current && {compose} up -d --wait --no-deps {' '.join(SERVICES)}"
        f" && sudo docker update --cpuset-cpus 0 {' '.join(f'webapp-{s}-1' for s in SERVICES)}",
    )


def measure(lab: Lab, url: str, seconds: int) -> Figures:
    """Asks for an address with all clients for so many seconds."""
    before = used(lab)
    done = subprocess.run(
        ["taskset", "--cpu-list", "1", "wrk", "--threads=1", f"--connections={CLIENTS}",
         f"--duration={seconds}s", "--latency", f"--script={HERE / 'webapp_wrk.lua'}", url],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    after = used(lab)
    found = json.loads(done.stdout.splitlines()[-1])
    requests = max(1, found["requests"])
    return Figures(
        rate=found["requests"] / found["seconds"],
        p50=found["p50"],
        p99=found["p99"],
        refused=found["refused"] + found["broken"],
        cost={name: (after[name][0] - before[name][0]) / 1e3 / requests for name in SERVICES},
    )


def rounds(lab: Lab, repeat: int, seconds: int, variants: list[str]) -> None:
    """Measures all variants in turn, and prints the table."""
    product = seed(lab)
    paths = {
        "/healthz": "/healthz",
        "one product": f"/api/products/{product}",
        "list of 50": "/api/products?per_page=50",
    }
    found: dict[tuple[str, str], list[Figures]] = {}
    memory: dict[tuple[str, str], list[int]] = {}
    for number in range(repeat):
        for variant in variants:
            deploy(lab, variant)
            schemes = ("http", "https") if variant == "deployed" else ("http",)
            for scheme in schemes:
                for name, path in paths.items():
                    url = f"{scheme}://{lab.address}{path}"
                    measure(lab, url, 1)
                    label = name if scheme == "http" else f"{name}, HTTPS"
                    found.setdefault((variant, label), []).append(measure(lab, url, seconds))
            for service, (_, size) in used(lab).items():
                memory.setdefault((variant, service), []).append(size)
        print(f"round {number + 1} of {repeat}   load {os.getloadavg()[0]:.1f}", flush=True)

    print(f"\n{'':10}{'':20}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8}{'not 2xx':>9}", end="")
    print("   processor time a request, us" + f"{'x baseline':>14}")
    for (variant, label), figures in found.items():
        median = {
            name: statistics.median(getattr(f, name) for f in figures)
            for name in ("rate", "p50", "p99")
        }
        cost = {name: statistics.median(f.cost[name] for f in figures) for name in SERVICES}
        base = found.get(("baseline", label))
        ratio = f"{median['rate'] / statistics.median(f.rate for f in base):13.1f}" if base else ""
        print(
            f"{variant:10}{label:20}{median['rate']:8.0f}{median['p50']:8.1f}{median['p99']:8.1f}"
            f"{sum(f.refused for f in figures):9}   "
            + " ".join(f"{name} {value:.0f}" for name, value in cost.items()).ljust(36)
            + ratio
        )
    print("\nmemory after the load, MiB")
    for variant in variants:
        sizes = {s: statistics.median(memory[variant, s]) / 2**20 for s in SERVICES}
        print(f"{variant:10}" + "   ".join(f"{s} {size:.0f}" for s, size in sizes.items()))


def withstand(lab: Lab, seconds: int) -> None:
    """Prints what many and slow clients do to the application."""
    before = states(lambda command: on_host(lab, f"sudo {command}"))
    normal = latency(lab.address)
    print(attack(lab.address, seconds).table())
    print(
        f"answers as before ({normal * 1e3:.0f} ms) after {settled(lab.address, normal, 60):.1f} s"
    )
    print(f"{'no slow bodies':16}" + slow_bodies(lab.address, seconds, "length", slow=0).table())
    for kind in BODIES:
        print(f"{kind:16}" + slow_bodies(lab.address, seconds, kind).table())
    after = states(lambda command: on_host(lab, f"sudo {command}"))
    print("containers: " + ("as before" if after == before else f"{before} -> {after}"))
    print("memory, MiB: " + "   ".join(f"{n} {m / 2**20:.0f}" for n, (_, m) in used(lab).items()))


def tools() -> None:
    """Has wrk here. Raises BenchError."""
    if not shutil.which("wrk") and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-qq", "-y", "wrk"]):
            subprocess.run(["apt-get", *command], env=environment, check=False, capture_output=True)
    if not shutil.which("wrk"):
        raise BenchError("the load generator wrk is missing: sudo apt-get install wrk")
    if (os.cpu_count() or 1) < 2:
        raise BenchError("two processors are needed: one for the load, one for what is measured")


def main() -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--seconds", type=int, default=6, help="of a measurement (default: 6)")
    parser.add_argument("--variant", action="append", choices=list(VARIANTS), help="not all")
    parser.add_argument("--attack", type=int, metavar="SECONDS", help="many and slow clients")
    parser.add_argument("--lab", default="bench-webapp", help="name of the lab")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    arguments = parser.parse_args()
    lab = Lab(arguments.lab)
    try:
        tools()
        lab.up()
        run = lab.play(playbook=CONVERGE)
        if run.status != 0:
            raise BenchError(f"the host did not converge:\n{run.output[-3000:]}")
        if arguments.attack:
            withstand(lab, arguments.attack)
        else:
            prepare(lab)
            try:
                rounds(
                    lab, arguments.repeat, arguments.seconds, arguments.variant or list(VARIANTS)
                )
            finally:
                deploy(lab, "deployed")
                sql(lab, UNSEED)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        if not arguments.keep:
            lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
