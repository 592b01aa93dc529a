"""A run may be killed anywhere: the next one goes on from there, and the one after changes nothing.

Every run is killed with SIGKILL, controller and all, so nothing gets to clean up. The tests stand
in the order in which site.yml reaches the places: each goes on with the host that the one before
left behind, and the last one sees it converge, with what the roles' tags have left out.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import docker

from testbed.mirror import gateway
from tests.ask import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab import Lab


def _running(lab: Lab, pattern: str) -> Callable[[], bool]:
    """Whether a process with that command line runs on the host (or in a container on it)."""
    # The brackets keep pgrep from finding the shell that runs it.
    return lambda: lab.ssh(f"pgrep -f '[{pattern[0]}]{pattern[1:]}'").returncode == 0


@contextmanager
def _half_a_download() -> Iterator[tuple[str, threading.Event]]:
    """Serves the first half of a file, and then nothing: its address, and whether it got so far."""
    half, over = threading.Event(), threading.Event()

    class Half(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 21))
            self.end_headers()
            self.wfile.write(bytes(1 << 20))
            half.set()
            over.wait()

    server = ThreadingHTTPServer((gateway(docker.from_env()), 0), Half)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.server_address[:2]
    try:
        yield f"http://{host!s}:{port}/half.tar.gz", half
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def test_power_cut_while_apt_unpacks_the_engine(lab: Lab) -> None:
    lab.play_until("docker : install | Install", also=_running(lab, "dpkg --"))
    lab.power_cut()


def test_killed_while_the_images_are_built(lab: Lab) -> None:
    lab.play_until("webapp : build | Begin", also=_running(lab, "pip install"))


def test_killed_while_a_release_is_downloaded(lab: Lab) -> None:
    with _half_a_download() as (url, half):
        lab.play_until(
            "prometheus : service | Install",
            *("--tags", "prometheus", "-e", f"prometheus_url={url}"),
            also=half.is_set,
        )


def test_killed_between_the_unit_and_its_start(lab: Lab) -> None:
    unit = "test -e /etc/systemd/system/prometheus.service"
    assert lab.ssh(unit).returncode != 0
    lab.play_until(
        "prometheus : service | Install",
        *("--tags", "prometheus"),
        also=lambda: lab.ssh(unit).returncode == 0,
    )


def test_killed_while_apt_installs_grafana(lab: Lab) -> None:
    lab.play_until(
        "grafana : package | Install", "--tags", "grafana", also=_running(lab, "apt-get")
    )


def test_power_cut_while_mysql_initialises_its_data(lab: Lab) -> None:
    # What the run before had begun goes on without it, and may have come as far as this.
    lab.power_cut()
    lab.ssh("sudo docker ps -aq | xargs -r sudo docker rm -f; sudo docker volume prune -af")
    lab.play_until(
        "webapp : start | Start", "--tags", "webapp", also=_running(lab, "initialize-insecure")
    )
    lab.power_cut()


def test_power_cut_while_the_tables_are_made(lab: Lab) -> None:
    lab.play_until(
        "webapp : start | Bring", "--tags", "webapp", also=_running(lab, "python -m webapp.migrate")
    )
    lab.power_cut()


def test_the_next_run_ends_converged_and_the_one_after_changes_nothing(lab: Lab) -> None:
    healed = lab.play()
    assert healed.status == 0, healed.output[-4000:]
    assert healed.recap["changed"] > 0

    again = lab.play()
    assert again.status == 0, again.output[-4000:]
    assert again.recap["changed"] == 0, again.output[-4000:]


def test_a_configuration_that_was_written_but_not_loaded_is_loaded(lab: Lab) -> None:
    """The change that a handler would forget: a run died between the file and its reload."""
    interval = ("-e", "prometheus_scrape_interval=7s")
    written = lab.ssh(
        "sudo sed -i 's/scrape_interval: 5s/scrape_interval: 7s/' /etc/prometheus/prometheus.yml"
    )
    assert written.returncode == 0, written.stderr

    healed = lab.play(*interval)
    assert healed.status == 0, healed.output[-4000:]
    # Prometheus, and Grafana, whose smallest step follows the interval.
    assert healed.recap["changed"] == 2
    password = lab.ssh("sudo cat /etc/labstack/secrets/monitoring_password").stdout.strip()
    loaded = ask(f"http://{lab.address}:9090/api/v1/status/config", "monitor", password)
    assert "scrape_interval: 7s" in loaded.body


def test_a_converged_host_that_lost_its_power_serves_again_by_itself(lab: Lab) -> None:
    before = lab.address
    lab.power_cut()
    if lab.address != before:
        # As after a new lab IP: the certificate and the links follow by a run.
        assert lab.play().status == 0
    run = lab.play("-e", "verify_timeout=120", playbook="playbooks/verify.yml")
    assert run.status == 0, run.output[-4000:]
