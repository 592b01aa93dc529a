"""What a host of the testbed goes through while people ask: releases, good and bad, and the rest.

Used by the bench (tests/bench/releases.py), which prints what was seen, and by Molecule's scenario
webapp, which asserts that no request failed.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.steady import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APP = Path(__file__).parents[1] / "app"
EDGE = "/etc/labstack/edge"
MIGRATION = """\
from alembic import op
revision = "0099"
down_revision = "{head}"


def upgrade():
    op.execute("ALTER TABLE no_such_table ADD x INT")
"""


@dataclass(frozen=True)
class Case:
    """Something that happens to the application.

    Attributes:
        name: for the table.
        change: makes a copy of app/ what is deployed; None, where it is not by a release.
        fails: whether the deployment must fail.
        says: what its message must have.
        variables: of the run.
        playbook: what runs.
    """

    name: str
    change: Callable[[Path], None] | None = None
    fails: bool = False
    says: str = ""
    variables: str = ""
    playbook: str = "playbooks/deploy.yml"


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def good(app: Path) -> None:
    """Another content, the same behaviour."""
    _append(app / "flask" / "webapp" / "__init__.py", f"# {secrets.token_hex(8)}\n")


def broken_image(app: Path) -> None:
    """It cannot be built."""
    _append(app / "flask" / "Dockerfile", "RUN exit 7\n")


def never_healthy(app: Path) -> None:
    """It starts, and ends."""
    (app / "flask" / "serve.py").write_text('raise RuntimeError("broken on purpose")\n')


def fails_its_checks(app: Path) -> None:
    """Its health check passes, and a page does not."""
    factory = app / "flask" / "webapp" / "__init__.py"
    text = factory.read_text()
    # Everything but health answers 500.
    patched = re.sub(
        r"^(\s+)return app$",
        r"\1app.view_functions = {\n"
        r"\1    name: view if name.startswith('health') else lambda **_: ('broken', 500)\n"
        r"\1    for name, view in app.view_functions.items()\n"
        r"\1}\n\1return app",
        text,
        flags=re.MULTILINE,
    )
    assert patched != text, "webapp/__init__.py has no `return app`"
    factory.write_text(patched)


def failing_migration(app: Path) -> None:
    """Its migration alters a table that is not there."""
    versions = app / "flask" / "webapp" / "migrations" / "versions"
    numbers = [path.name[:4] for path in versions.glob("[0-9]*.py")]
    (versions / "0099_broken.py").write_text(MIGRATION.format(head=max(numbers)))


def changed_apache(app: Path) -> None:
    """Apache has another configuration, and Flask is as before."""
    _append(app / "edge" / "httpd.conf", f"# {secrets.token_hex(8)}\n")


def broken_apache(app: Path) -> None:
    """Apache cannot read its configuration."""
    _append(app / "edge" / "httpd.conf", "NoSuchDirective on\n")


# In this order: the release before the good one has another Flask, to which the rollback goes.
CASES = [
    Case("changed configuration", changed_apache),
    Case("broken configuration", broken_apache, fails=True, says="NoSuchDirective"),
    Case("good release", good),
    Case("nothing changed", lambda _: None),
    Case("broken image", broken_image, fails=True, says="could not be built"),
    Case("never healthy", never_healthy, fails=True, says="broken on purpose"),
    Case("fails its checks", fails_its_checks, fails=True, says="fails its checks"),
    Case("failing migration", failing_migration, fails=True, says="The migration failed"),
    Case("rollback", playbook="playbooks/rollback.yml"),
]


def copy_of_app(target: Path) -> Path:
    """Copies app/ to be changed; returns where it is."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(APP, target, ignore=shutil.ignore_patterns("secrets", "tls", ".venv"))
    return target


def arguments(case: Case, base: Path, work: Path) -> list[str]:
    """Returns ansible-playbook's arguments for a case.

    Args:
        case: the case.
        base: the application as it is deployed now; a case that succeeds changes it.
        work: where a copy may be made.
    """
    if case.change is None:
        return []
    source = base
    if case.fails:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        source = work
    case.change(source)
    return ["-e", json.dumps({"webapp_source": str(source), "webapp_start_timeout": 60})]


@contextmanager
def peak_memory(run: Callable[[str], str]) -> Iterator[list[int]]:
    """Look at what the host's control group takes, again and again; the list gets the most, in MiB.

    Args:
        run: runs a shell command on the host as root and returns what it prints.
    """
    script = (
        "cd /sys/fs/cgroup; if [ -e memory.current ]; then u=$(cat memory.current);"
        " c=$(sed -n 's/^inactive_file //p' memory.stat); else cd memory;"
        " u=$(cat memory.usage_in_bytes); c=$(sed -n 's/^total_inactive_file //p' memory.stat); fi;"
        " echo $(((u - c) / 1048576))"
    )
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(1):
            most[0] = max(most[0], int(run(script)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


# What the load has added goes again.
_DELETE = f"DELETE FROM products WHERE name = '{NAME}'"  # noqa: S608 - a constant
UNSEED = (
    f'docker exec webapp-mysql-1 mysql --defaults-file=/run/mysqld/webapp.cnf webapp -e "{_DELETE}"'
)
# A certificate that ends within the month is made anew.
AGE_CERTIFICATE = (
    "openssl x509 -in /etc/labstack/tls/cert.pem -noout -ext subjectAltName >/tmp/san && "
    "openssl req -x509 -key /etc/labstack/tls/key.pem -days 3 -subj /CN=labstack -addext"
    " \"subjectAltName=$(tail -1 /tmp/san | sed 's/ *//;s/IP Address/IP/')\""
    " -out /etc/labstack/tls/.new && chmod 0444 /etc/labstack/tls/.new &&"
    " chgrp 10001 /etc/labstack/tls/.new && mv /etc/labstack/tls/.new /etc/labstack/tls/cert.pem"
)
