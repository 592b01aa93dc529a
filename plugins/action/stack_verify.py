"""Action of labstack.stack.stack_verify: looks at a running stack from the controller."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils.http import (
    REDIRECTS,
    Client,
    HttpError,
    NotRunningError,
    Reply,
    any_certificate,
    connection_error,
    only_certificate,
    shorten,
    url_host,
)

# Seconds between two tries of a check that does not hold yet.
RETRY_PAUSE = 1.0
# Seconds for a connection that is expected to fail: longer than any round trip on Earth. A network
# that drops packets without a word is the usual way in which a port is closed.
CLOSED_TIMEOUT = 0.8
# Rows of this name and an age of more than this many seconds are left from a verification that was
# killed; younger ones may belong to another that runs at the same time.
ROW_PREFIX = "labstack-verify"
ROW_AGE = 120
# How many of the newest rows are looked through for such, and how many one request may list.
SWEPT_ROWS = 500
PAGE = 100

ARGUMENTS = {
    "address": {"type": "str", "required": True},
    "servers": {"type": "dict", "required": True},
    "roles": {"type": "path", "required": True},
    "ssh_command": {"type": "str", "default": "ssh HOST"},
    "timeout": {"type": "float", "default": 60.0},
    "request_timeout": {"type": "float", "default": 5.0},
    "must_hold": {"type": "bool", "default": True},
    "checks": {"type": "list", "elements": "dict", "default": []},
}


class NeverError(Exception):
    """A check does not hold, and waiting will not change it."""


class RefusedError(NeverError):
    """The server refuses the login (401, 403)."""


class NotYetError(Exception):
    """A check does not hold, and may hold in a moment."""


class ServerError(NotYetError):
    """The server says that it cannot do its work (5xx)."""


@dataclass(frozen=True)
class Server:
    """One server of the stack: what the stack knows of it (an entry of verify_servers)."""

    address: str
    timeout: float
    port: int
    scheme: str = "http"
    user: str = ""
    password: str = field(default="", repr=False)
    present: bool = True
    closed: bool = False
    certificate: str = ""
    trusted: bool = False
    ca_file: str = ""
    jobs: Sequence[str] = ()
    may_be_down: Sequence[str] = ()
    dashboards: Sequence[int] = ()

    def client(self, login: bool = True) -> Client:
        """Return the client for it, with the server's login or as a stranger."""
        context: Callable[[], ssl.SSLContext] = any_certificate
        if self.trusted:
            context = partial(ssl.create_default_context, cafile=self.ca_file or None)
        elif self.certificate:
            context = partial(only_certificate, self.certificate)
        base = f"{self.scheme}://{url_host(self.address)}:{self.port}"
        known = Client(base, self.timeout, self.user, self.password, context)
        return known if login else known.without_login()


@dataclass(frozen=True)
class Check:
    """One thing to look at, as roles/<role>/checks/main.yml has it.

    Attributes:
        part: The role. A part that is broken is reported once, not once a check.
        name: What is good when the check holds; {port} is the server's.
        server: The server.
        role: The role's directory.
        cause: The likely cause of a failure.
        look_closer: What to type on the host to see more.
        run_here: What to type on this computer instead.
        kind: One of KINDS.
        path: What is asked for.
        login: Whether to ask with the server's login.
        status: HTTP status codes that are good.
        content_type: A part of the Content-Type.
        json: Values of a JSON object by key.
        contains: A text that the page has.
        host: The name by which the server is asked, where it has several.
        metrics: Names of metrics in Prometheus's text format.
        alerts: Alerts that must be loaded, as GROUP/ALERT.
        explains: Its cause explains every server error (5xx) of its part.
        writes: It changes something, and is left out in check mode.
    """

    part: str
    name: str
    server: Server
    role: Path
    cause: str
    look_closer: str = ""
    run_here: str = ""
    kind: str = "http"
    path: str = "/"
    login: bool = True
    status: Sequence[int] = (200,)
    content_type: str = ""
    json: dict[str, Any] = field(default_factory=dict)
    contains: str = ""
    host: str = ""
    metrics: Sequence[str] = ()
    alerts: Sequence[str] = ()
    explains: bool = False
    writes: bool = False


def collect(
    roles: Path, servers: dict[str, Server], more: Sequence[dict[str, Any]] = ()
) -> list[Check]:
    """Return the checks of the servers that are present, from roles/<role>/checks/main.yml.

    Args:
        roles: Folder of the roles.
        servers: What the stack has, by name.
        more: Further checks, each with its part.

    Raises:
        ValueError: A check has a word that no check has, or there is none at all.
    """
    found = []
    listed = [
        (path.parents[1].name, path.parents[1], yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in sorted(roles.glob("*/checks/main.yml"))
    ]
    listed += [(str(entry["part"]), roles, [{**entry, "part": None}]) for entry in more]
    for part, role, entries in listed:
        for entry in entries:
            words = {word: value for word, value in entry.items() if word != "part"}
            server = servers.get(words.pop("server"))
            needs, unless = words.pop("needs", ""), words.pop("unless", "")
            if server is None or not server.present:
                continue
            if (needs and not getattr(server, needs)) or (unless and getattr(server, unless)):
                continue
            words["name"] = words["name"].format(port=server.port)
            words["look_closer"] = words.get("look_closer", "").replace("{port}", str(server.port))
            try:
                check = Check(part=part, server=server, role=role, **words)
                KINDS[check.kind]
            except (TypeError, KeyError) as error:
                place = f"roles/{part}/checks/main.yml" if role != roles else part
                raise ValueError(f"{place}, {words['name']}: {error}") from None
            found.append(check)
    if not found:
        raise ValueError(f"no server of verify_servers has a check in {roles}/*/checks/main.yml")
    return found


# --- What a check does: each returns what was seen -----------------------------------------------


def request(
    client: Client, method: str, path: str, body: Any = None, accept: Sequence[int] = (200,)
) -> Reply:
    """Return the answer, if its status is good.

    Raises:
        ServerError: The status is 5xx.
        RefusedError: The login is refused (401, 403).
        NeverError: A login should be asked for, and is not.
        NotYetError: Another status.
        HttpError: No answer.
    """
    reply = client.ask(method, path, body)
    if reply.status in accept:
        return reply
    where = f"{client.base}{path}"
    if reply.status == 200 and set(accept) <= {401, 403, 404}:
        raise NeverError(f"{where} can be read from here, without a password")
    said = f": {shorten(reply.body)}" if reply.body.strip().startswith("{") else ""
    message = f"{method} {where} answers {reply.status}{said}"
    if reply.status in (401, 403):
        raise RefusedError(message)
    raise ServerError(message) if reply.status >= 500 else NotYetError(message)


def http_answers(check: Check) -> str:
    """Ask for a page, and look at what the check says of it."""
    # Where a redirect is what is expected, it is the answer.
    client = replace(
        check.server.client(check.login),
        host=check.host,
        follow=bool(set(check.status) - set(REDIRECTS)),
    )
    reply = request(client, "GET", check.path, accept=check.status)
    seen = [str(reply.status)]
    if check.contains:
        if check.contains not in reply.body:
            raise NotYetError(f"GET {check.path} has no text {check.contains!r}")
        seen.append(f"{check.contains!r}")
    if check.content_type:
        content_type = reply.headers.get("content-type", "")
        if check.content_type not in content_type or not reply.body.strip():
            raise NotYetError(
                f"GET {check.path} has no {check.content_type}, but {content_type or 'nothing'}"
            )
        seen.append(content_type)
    for key, value in check.json.items():
        have = reply.json().get(key)
        if have != value:
            said = reply.json().get("message")
            raise NotYetError(f"{key}: {have}" + (f" ({shorten(str(said))})" if said else ""))
        seen.append(f"{key}: {value}")
    if check.metrics:
        names = {line.partition("{")[0].partition(" ")[0] for line in reply.body.splitlines()}
        seen.append(_all_of(check.metrics, names))
    return ", ".join(seen)


def _all_of(wanted: Sequence[Any], there: Any, words: str = "") -> str:
    missing = [str(value) for value in wanted if value not in there]
    if missing:
        raise NotYetError(f"missing: {', '.join(missing)}" + (f"; {words}" if words else ""))
    return f"{len(wanted)} of {len(wanted)}"


def certificate_holds(check: Check) -> str:
    """Look at the certificate as a browser does: its names, its dates, and who vouches for it.

    Where the server need not be trusted, the certificate that the host has made for itself counts
    as its own CA; where that is not known, the one that is shown.
    """
    server = check.server
    where = (server.address, server.port)
    place = f" or in {server.ca_file}" if server.trusted and server.ca_file else ""

    def handshake(context: ssl.SSLContext) -> tuple[bytes, dict[str, Any]]:
        with (
            socket.create_connection(where, server.timeout) as plain,
            context.wrap_socket(plain, server_hostname=server.address) as wrapped,
        ):
            return wrapped.getpeercert(binary_form=True) or b"", dict(wrapped.getpeercert() or {})

    try:
        if server.trusted or server.certificate:
            context = server.client().context()
        else:
            context = only_certificate(handshake(any_certificate())[0])
        return f"valid until {handshake(context)[1]['notAfter']}"
    except ssl.SSLCertVerificationError as error:
        raise NeverError(f"the certificate on port {server.port}: {error.verify_message}") from None
    except (ssl.SSLError, ValueError, FileNotFoundError) as error:
        raise NotYetError(f"no TLS on port {server.port}{place}: {error}") from None
    except OSError as error:
        raise connection_error(error, server.address, server.port, server.timeout) from None


def port_is_closed(check: Check) -> str:
    """Check that nobody answers on the port."""
    where = (check.server.address, check.server.port)
    try:
        with socket.create_connection(where, CLOSED_TIMEOUT):
            pass
    except OSError:
        return "closed"
    raise NeverError(f"port {where[1]} of {where[0]} can be reached from here")


def _sweep_rows(client: Client, now: float) -> None:
    """Delete the rows that killed verifications left, among the newest SWEPT_ROWS."""
    for number in range(1, SWEPT_ROWS // PAGE + 1):
        query = urlencode({"q": ROW_PREFIX, "sort": "-id", "per_page": PAGE, "page": number})
        page = request(client, "GET", f"/api/products?{query}").json()
        for row in page["items"]:
            prefix, _, rest = str(row.get("name", "")).partition(" ")
            born = rest.partition(" ")[0]
            if prefix == ROW_PREFIX and born.isdigit() and now - int(born) > ROW_AGE:
                path = f"/api/products/{row['id']}"
                request(client, "DELETE", path, accept=(200, 204, 404))
        if number >= page["pages"]:
            break


def product_is_kept(check: Check) -> str:
    """Write a product, read it back and delete it; leaves nothing behind, whatever happens."""
    client = check.server.client()
    now = time.time()
    _sweep_rows(client, now)
    product = {
        "name": f"{ROW_PREFIX} {int(now)} {secrets.token_hex(4)}",
        "description": "Written by the verification, and deleted by it.",
        "price": "9.99",
        "stock": 3,
    }
    made = request(client, "POST", check.path, product, accept=(201,))
    number = made.json().get("id")
    if number is None:
        raise NeverError(f"POST {check.path} answers 201 without an id")
    path = f"{check.path}/{number}"
    try:
        if "location" not in made.headers:
            raise NeverError(f"POST {check.path} answers 201 without a Location")
        read = request(client, "GET", path).json()
        for key, value in product.items():
            if str(read.get(key)) != str(value):
                raise NeverError(f"GET {path}: {key} is {read.get(key)!r}, not {value!r}")
    finally:
        request(client, "DELETE", path, accept=(200, 204))
    request(client, "GET", path, accept=(404,))
    return f"product {number} written, read, deleted"


def targets_are_up(check: Check) -> str:
    """Check that every scrape target is up (but for some jobs), and that each job has one."""
    server = check.server
    data = request(server.client(), "GET", "/api/v1/targets?state=active").json().get("data", {})
    targets = data.get("activeTargets", [])
    down = [
        f"target {target.get('scrapePool')} {target.get('scrapeUrl')} is {target.get('health')}"
        + (f" ({shorten(target['lastError'])})" if target.get("lastError") else "")
        for target in targets
        if target.get("health") != "up" and target.get("scrapePool") not in server.may_be_down
    ]
    if down:
        raise NotYetError("; ".join(down))
    missing = sorted(set(server.jobs) - {target.get("scrapePool") for target in targets})
    if missing:
        raise NotYetError(f"no target of the job {', '.join(missing)}")
    return f"{len(targets)} targets of {len(server.jobs)} jobs"


def alerts_are_loaded(check: Check) -> str:
    """Check that the alerts are loaded and can be evaluated."""
    data = request(check.server.client(), "GET", "/api/v1/rules").json().get("data", {})
    found = {
        f"{group.get('name')}/{rule.get('name')}": rule
        for group in data.get("groups", [])
        for rule in group.get("rules", [])
    }
    _all_of(check.alerts, found, f"loaded: {', '.join(found) or 'none'}")
    broken = [
        f"{name} fails: {shorten(rule.get('lastError', ''))}"
        for name, rule in found.items()
        if rule.get("health") == "err"
    ]
    if broken:
        raise NotYetError("; ".join(broken))
    return f"{len(found)} rules"


def dashboards_are_there(check: Check) -> str:
    """Check that Grafana has the role's dashboards by title, and those of grafana.com by tag."""
    found = request(check.server.client(), "GET", check.path).json()
    titles = sorted(str(entry.get("title")) for entry in found)
    tags = {tag for entry in found for tag in entry.get("tags") or []}
    files = sorted(check.role.glob("files/dashboards/*.json"))
    own = [json.loads(file.read_text(encoding="utf-8"))["title"] for file in files]
    wanted = own + [f"grafana-com-{number}" for number in check.server.dashboards]
    return _all_of(wanted, {*titles, *tags}, f"there: {', '.join(titles) or 'none'}")


KINDS: dict[str, Callable[[Check], str]] = {
    "http": http_answers,
    "certificate": certificate_holds,
    "closed": port_is_closed,
    "product": product_is_kept,
    "targets": targets_are_up,
    "alerts": alerts_are_loaded,
    "dashboards": dashboards_are_there,
}


# --- Running them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a check went: what was seen; `error` is how it does not hold, None when it does."""

    check: Check
    seen: str
    error: Exception | None = None

    @property
    def cause(self) -> str:
        """The likely cause."""
        if isinstance(self.error, RefusedError):
            return (
                f"the password of {self.check.server.user or 'this server'} was changed since the "
                "last run of site.yml, on the host or by a vault_ variable; the next run sets it"
            )
        return getattr(self.error, "cause", "") or self.check.cause

    @property
    def trouble(self) -> str:
        """What the check has in common with others that fail for the same reason."""
        if isinstance(self.error, HttpError) and self.error.cause:
            return self.seen
        if isinstance(self.error, RefusedError):
            return f"login of {self.check.server.user} on {self.check.server.port}"
        return f"5xx {self.check.part}" if isinstance(self.error, ServerError) else self.check.name

    def command(self, ssh_command: str) -> str:
        """Return what to type to look closer."""
        if isinstance(self.error, RefusedError):
            return "./lab run ansible-playbook site.yml"
        if self.check.run_here:
            return self.check.run_here
        quote = '"' if "'" in self.check.look_closer else "'"
        return f"{ssh_command} {quote}{self.check.look_closer}{quote}"

    def as_result(self, ssh_command: str) -> dict[str, Any]:
        """Return the outcome for a report."""
        found = {
            "part": self.check.part,
            "name": self.check.name,
            "passed": self.error is None,
            "seen": self.seen,
        }
        if self.error is not None:
            found |= {"cause": self.cause, "command": self.command(ssh_command)}
        return found


def run_check(check: Check, deadline: float) -> Outcome:
    """Try a check until it holds, cannot hold, or time.monotonic() passes the deadline."""
    while True:
        try:
            return Outcome(check, KINDS[check.kind](check))
        except NeverError as error:
            return Outcome(check, str(error), error)
        except (NotYetError, HttpError) as error:
            if time.monotonic() + RETRY_PAUSE > deadline:
                return Outcome(check, str(error), error)
            # The stack may still be starting; only the next look shows that it is there.
            time.sleep(RETRY_PAUSE)
        except Exception as error:
            # An answer of a shape that nobody thought of is a finding too, not a traceback.
            return Outcome(check, f"unexpected answer ({type(error).__name__}: {error})", error)


def run_checks(checks: Sequence[Check], timeout: float) -> list[Outcome]:
    """Run all checks at the same time; timeout in seconds, 0 for a single try."""
    deadline = time.monotonic() + timeout
    with ThreadPoolExecutor(max_workers=max(1, len(checks))) as pool:
        return list(pool.map(lambda check: run_check(check, deadline), checks))


def report(failed: Sequence[Outcome], total: int, ssh_command: str) -> str:
    """Return the message of a failure: each failed check with its cause and the next command.

    What fails for the same reason, a port where nothing listens or a part that only answers with
    server errors, is reported once.
    """
    together: dict[str, list[Outcome]] = {}
    for outcome in failed:
        together.setdefault(outcome.trouble, []).append(outcome)
    lines = [f"{len(failed)} of {total} checks failed:"]
    for number, group in enumerate(together.values(), 1):
        head = group[0]
        if isinstance(head.error, ServerError):
            head = next((outcome for outcome in group if outcome.check.explains), head)
        names = ", ".join(outcome.check.name for outcome in group if outcome is not head)
        lines.append(f"\n{number}. {head.check.name}: failed")
        lines += [f"   also failed: {names}"] if names else []
        lines += [
            f"   seen:  {head.seen}",
            f"   cause: {head.cause}",
            f"   -> {head.command(ssh_command)}",
        ]
    if len(failed) == total and all(isinstance(o.error, NotRunningError) for o in failed):
        lines.append("\nNothing runs there. To bring it up: ./lab run ansible-playbook site.yml")
    return "\n".join(lines)


def look(params: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    """Run the checks; return the result of the task.

    Args:
        params: The options, as ARGUMENTS has them.
        check_mode: Write nothing, wait for nothing, and take a service that does not run yet for
            one that a real run would start.
    """
    words = {word.name for word in fields(Server)} - {"address", "timeout"}
    servers = {}
    for name, entry in params["servers"].items():
        known = {"present": True, **entry, "port": int(entry["port"])}
        # A variable of the command line is a text.
        for word in ("present", "closed", "trusted"):
            known[word] = boolean(known.get(word, False))
        known = {word: value for word, value in known.items() if word in words}
        servers[name] = Server(params["address"], params["request_timeout"], **known)
    checks = collect(Path(params["roles"]), servers, params.get("checks", ()))
    left_out = []
    if check_mode:
        left_out = [check.name for check in checks if check.writes]
        checks = [check for check in checks if not check.writes]
    outcomes = run_checks(checks, 0 if check_mode else params["timeout"])
    if check_mode:
        absent = [o for o in outcomes if isinstance(o.error, NotRunningError)]
        left_out += [outcome.check.name for outcome in absent]
        outcomes = [outcome for outcome in outcomes if outcome not in absent]
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed and params["must_hold"]:
        message = report(failed, len(outcomes), params["ssh_command"])
        return {"failed": True, "changed": False, "msg": message}
    return {
        "changed": False,
        "msg": f"{len(outcomes) - len(failed)} checks passed"
        + (f", {len(failed)} failed" if failed else "")
        + (f", {len(left_out)} left out in check mode" if left_out else ""),
        "checks": [outcome.as_result(params["ssh_command"]) for outcome in outcomes],
        "left_out": left_out,
    }


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """Runs on the controller, without a module and without a connection."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Look at the stack; under -v show a line for each check."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, params = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            result |= look(params, self._task.check_mode)
        except (TypeError, ValueError, LookupError) as error:
            raise AnsibleActionFail(
                f"verify_servers or a checks/main.yml is invalid: {error}"
            ) from None
        if not result.get("failed"):
            for check in result["checks"]:
                word = "ok" if check["passed"] else "FAILED"
                self._display.v(f"{word}: {check['part']}: {check['name']}: {check['seen']}")
            # The lines above are the result for people, and so is the summary of the role verify.
            result["_ansible_verbose_override"] = True
        return result
