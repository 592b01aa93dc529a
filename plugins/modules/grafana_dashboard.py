#!/usr/bin/python
"""Ansible module: dashboards, one's own and grafana.com's, as files that Grafana provisions."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: grafana_dashboard
short_description: Bring dashboards into a folder that Grafana provisions
version_added: "0.1.0"
description:
  - Writes one's own dashboards, each into a file named after its uid.
  - Downloads dashboards of grafana.com at a pinned revision, checks their SHA-256, and prepares
    them for provisioning, where nobody answers the questions of the import dialogue.
  - A dashboard that is there as this module prepared it is not downloaded again; one that somebody
    has changed is.
  - Removes the dashboards that it once brought and that are no longer listed. Other files in the
    folder are left alone.
  - Refuses a uid or a title that two dashboards have, for which Grafana would take none of them.
options:
  directory:
    description: The folder, made if it is missing.
    type: path
    required: true
  base_url:
    description: Base address of grafana.com or of a mirror with the same paths.
    type: str
    required: true
  contents:
    description: One's own dashboards, each as JSON text with a uid and a title.
    type: list
    elements: str
    default: []
  dashboards:
    description: The dashboards of grafana.com.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Number of the dashboard at grafana.com.
        type: int
        required: true
      revision:
        description: Its revision.
        type: int
        required: true
      sha256:
        description: SHA-256 of the JSON as downloaded, 64 hexadecimal digits.
        type: str
        required: true
      title:
        description: Another title than the dashboard's own. Titles must be unique in the folder.
        type: str
  datasource_name:
    description: Name of the data source that the dashboards shall use.
    type: str
    default: Prometheus
  datasource_type:
    description: Its type.
    type: str
    default: prometheus
  datasource_uid:
    description: Its uid.
    type: str
    required: true
  owner:
    description: Name of the files' owner; by default the user who runs the module.
    type: str
  group:
    description: Name of the files' group; by default that of the user who runs the module.
    type: str
  mode:
    description: Permission bits in octal, as a quoted text.
    type: str
    default: "0640"
  timeout:
    description: Seconds without an answer after which a download counts as failed.
    type: int
    default: 60
attributes:
  check_mode:
    description: Compares, downloads and writes nothing. A missing folder is assumed to come.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
author: labstack
"""

EXAMPLES = r"""
- name: Bring our dashboard and Node Exporter Full
  labstack.stack.grafana_dashboard:
    directory: /etc/grafana/dashboards
    contents: ["{{ lookup('ansible.builtin.file', 'dashboards/ours.json') }}"]
    base_url: "{{ stack_dashboard_base_url }}"
    datasource_uid: prometheus
    dashboards:
      - id: 1860
        revision: 45
        sha256: 184c6b7409f306da75525d7772f71945b10cea23ad16b5d78c4698ea0ea51986
"""

RETURN = r"""
changed_files:
  description: Paths of what was written, removed, or given another owner or mode.
  returned: success
  type: list
  elements: str
uids:
  description: The dashboards' uids, as far as they are known (check mode downloads nothing).
  returned: success
  type: list
  elements: str
"""

import dataclasses
import grp
import hashlib
import http.client
import json
import os
import pwd
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.labstack.stack.plugins.module_utils.host_files import (
    Attributes,
    make_directory,
    replace,
    sweep,
    write_temporary,
)

# Raise it when `prepare` changes, so that hosts get their dashboards prepared anew.
_FORMAT = 1
_STATE = ".labstack-dashboards"
_PREFIX = "grafana-com-"
_SIZE_MAX = 20 * 1024 * 1024  # bytes; the largest dashboards of grafana.com have 1 or 2 MB
# Seconds before each further try after a failure that may pass.
_RETRY_PAUSES = (1.0, 2.0, 4.0)
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
# As Grafana's own check: letters, digits, - and _, at most 40.
_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")

Json = dict[str, Any]


class DashboardError(Exception):
    """A message for the user."""


class TransientError(Exception):
    """A failed download that may work the next time."""


@dataclass(frozen=True)
class Source:
    """The data source that the dashboards use."""

    name: str
    type: str
    uid: str


@dataclass(frozen=True)
class Dashboard:
    """A dashboard of grafana.com at a revision."""

    id: int
    revision: int
    sha256: str
    title: str | None = None

    @property
    def file(self) -> str:
        """Name of the prepared file."""
        return f"{_PREFIX}{self.id}.json"


@dataclass(frozen=True)
class Place:
    """Where the files go, whose they are, and where they come from."""

    directory: Path
    base_url: str
    attributes: Attributes
    timeout: float = 60  # seconds

    def url(self, dashboard: Dashboard) -> str:
        """Return the address of a dashboard's JSON, in the form of grafana.com's API."""
        base = self.base_url.rstrip("/")
        return f"{base}/api/dashboards/{dashboard.id}/revisions/{dashboard.revision}/download"


@dataclass
class Outcome:
    """What the module returns."""

    changed_files: list[str] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)


def check_request(dashboards: list[Dashboard], place: Place) -> None:
    """Refuse values that cannot work. Raises DashboardError."""
    if not re.match(r"https?://[^/]", place.base_url):
        raise DashboardError(
            f"base_url is '{place.base_url}', which is no address: grafana_dashboard_base_url "
            "takes https://… or http://…"
        )
    ids = [dashboard.id for dashboard in dashboards]
    for dashboard in dashboards:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", dashboard.sha256):
            raise DashboardError(
                f"sha256 of dashboard {dashboard.id} is '{dashboard.sha256}', which is no SHA-256: "
                "grafana_imported_dashboards takes 64 hexadecimal digits. This prints them: "
                f"curl -fsSL {place.url(dashboard)} | sha256sum"
            )
        if ids.count(dashboard.id) > 1:
            raise DashboardError(
                f"Dashboard {dashboard.id} is listed twice in grafana_imported_dashboards: Grafana "
                "would take neither, as both have one uid. Remove one of them."
            )


def fetch(url: str, timeout: float) -> bytes:
    """Return the body of an HTTP answer. Raises TransientError, DashboardError."""
    try:
        request = urllib.request.Request(  # noqa: S310 - check_request
            url, headers={"User-Agent": "labstack"}
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - as above
            expected = answer.headers.get("Content-Length")
            body: bytes = answer.read(_SIZE_MAX + 1)
    except urllib.error.HTTPError as error:
        if error.code in _TRANSIENT_STATUS:
            raise TransientError(f"the server answered {error.code} {error.reason}") from error
        raise DashboardError(
            f"The server answered {error.code} {error.reason} for {url}. Is there such a dashboard "
            "and revision? Both are in grafana_imported_dashboards, the base address is in "
            "stack_dashboard_base_url (group_vars/all/versions.yml)."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise TransientError(f"{reason}" if str(reason) else type(reason).__name__) from error
    if len(body) > _SIZE_MAX:
        raise DashboardError(f"{url} has more than {_SIZE_MAX} bytes, which no dashboard has.")
    if expected is not None and len(body) != int(expected):
        raise TransientError(f"the download is truncated: {len(body)} of {expected} bytes came")
    return body


def download(
    dashboard: Dashboard, place: Place, pause: Callable[[float], None] = time.sleep
) -> bytes:
    """Return a dashboard's JSON; its checksum is right. Raises DashboardError."""
    url = place.url(dashboard)
    for seconds in (*_RETRY_PAUSES, None):
        try:
            body = fetch(url, place.timeout)
        except TransientError as error:
            if seconds is None:
                raise DashboardError(
                    f"Cannot download {url}: {error} ({len(_RETRY_PAUSES) + 1} tries). "
                    f"Try on the host: curl -fsSL {url} | sha256sum. Without dashboards of "
                    "grafana.com: grafana_imported_dashboards: []"
                ) from error
            pause(seconds)
            continue
        digest = hashlib.sha256(body).hexdigest()
        if digest == dashboard.sha256.lower():
            return body
        raise DashboardError(
            f"The checksum of {url} is wrong; nothing was replaced.\n"
            f"expected {dashboard.sha256.lower()}\n"
            f"got      {digest}\n"
            f"If you changed the revision of {dashboard.id} in grafana_imported_dashboards "
            "(group_vars/all/versions.yml), change the sha256 beside it after you have looked at "
            "the JSON. If you did not, somebody changed the file: do not use it."
        )
    raise AssertionError("the last try returns or raises")


def strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it changed; keys stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [strings(item, change) for item in value]
    if isinstance(value, dict):
        return {key: strings(item, change) for key, item in value.items()}
    return value


def input_values(dashboard: Dashboard, inputs: list[Json], source: Source) -> dict[str, str]:
    """Answer the questions of the import dialogue: name of each input and its value.

    Raises DashboardError: an input asks for something that only a person can answer.
    """
    values: dict[str, str] = {}
    for entry in inputs:
        name, kind = str(entry.get("name")), entry.get("type")
        if kind == "datasource" and entry.get("pluginId") == source.type:
            values[name] = source.uid
        elif kind == "constant":
            values[name] = str(entry.get("value") or "")
        else:
            asked = entry.get("pluginId") or kind
            raise DashboardError(
                f"Dashboard {dashboard.id} asks for '{name}' ({asked}), and there is only a data "
                f"source of type {source.type} here. Remove it from grafana_imported_dashboards."
            )
    return values


def prepare(dashboard: Dashboard, body: bytes, source: Source) -> Json:
    """Make a dashboard's JSON ready for provisioning.

    The database's number goes (`id`), the import dialogue's questions are answered (`__inputs`),
    and every variable that offers data sources of the type begins with ours.
    Raises DashboardError: it is no dashboard, or asks for what is not here.
    """
    try:
        document = json.loads(body)
    except ValueError as error:
        raise DashboardError(
            f"Dashboard {dashboard.id} is no JSON ({error}), though its checksum is right: the "
            "sha256 in grafana_imported_dashboards belongs to something else."
        ) from error
    if not isinstance(document, dict) or not document.get("title"):
        raise DashboardError(f"Dashboard {dashboard.id} has no title: it is no dashboard's JSON.")
    values = input_values(dashboard, document.get("__inputs") or [], source)
    for key in ("id", "__inputs", "__requires", "__elements"):
        document.pop(key, None)

    def answered(text: str) -> str:
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", value)
        return text

    prepared: Json = strings(document, answered)
    for variable in (prepared.get("templating") or {}).get("list") or []:
        if variable.get("type") == "datasource" and variable.get("query") == source.type:
            variable["current"] = {"selected": True, "text": source.name, "value": source.uid}
    prepared["title"] = dashboard.title or prepared["title"]
    if not _UID.fullmatch(str(prepared.get("uid") or "")):
        prepared["uid"] = f"{_PREFIX}{dashboard.id}"
    return prepared


def parse_own(contents: list[str]) -> dict[str, tuple[bytes, Json]]:
    """Read one's own dashboards; return text and JSON of each by file name.

    Raises DashboardError.
    """
    own: dict[str, tuple[bytes, Json]] = {}
    for position, text in enumerate(contents, start=1):
        try:
            document = json.loads(text)
        except ValueError as error:
            raise DashboardError(
                f"Dashboard number {position} of contents is no JSON: {error}."
            ) from error
        uid = str(document.get("uid") or "") if isinstance(document, dict) else ""
        if not _UID.fullmatch(uid) or not document.get("title"):
            raise DashboardError(
                f"Dashboard number {position} of contents needs a title and a uid of letters, "
                f'digits, - and _ (at most 40), as in {{"uid": "cpu", "title": "CPU"}}; its '
                f"uid is '{uid}'."
            )
        if f"{uid}.json" in own:
            raise DashboardError(f"Two dashboards of contents have the uid '{uid}': change one.")
        own[f"{uid}.json"] = (text.rstrip("\n").encode() + b"\n", document)
    return own


def read_state(directory: Path) -> Json:
    """Return what earlier runs noted, by file name; nothing where there is no readable note."""
    with suppress(OSError, ValueError):
        state = json.loads((directory / _STATE).read_bytes())
        if isinstance(state, dict):
            return state
    return {}


def request_of(dashboard: Dashboard, source: Source) -> list[Any]:
    """Return all that decides what a prepared file contains."""
    asked = (dashboard.id, dashboard.revision, dashboard.sha256.lower(), dashboard.title)
    return [_FORMAT, *asked, source.name, source.type, source.uid]


def known(path: Path, note: Any, request: list[Any]) -> str | None:
    """Return the uid of a file that is as this module prepared it for this request, else None."""
    if not isinstance(note, dict) or note.get("request") != request:
        return None
    with suppress(OSError):
        if hashlib.sha256(path.read_bytes()).hexdigest() == note.get("sha256"):
            return str(note.get("uid"))
    return None


def neighbours(directory: Path, but: set[str]) -> Iterator[tuple[str, Json]]:
    """Yield name and content of the other dashboards in the folder."""
    for path in sorted(directory.glob("*.json")):
        if path.name not in but:
            with suppress(OSError, ValueError):
                document = json.loads(path.read_bytes())
                if isinstance(document, dict):
                    yield path.name, document


def check_unique(prepared: dict[str, Json], directory: Path, stale: set[str]) -> None:
    """Refuse a uid or title that is there twice: Grafana would then take no dashboard at all.

    Raises DashboardError.
    """
    seen: dict[tuple[str, str], str] = {}
    others = neighbours(directory, set(prepared) | stale)
    for name, document in (*others, *prepared.items()):
        for key in ("uid", "title"):
            value = str(document.get(key) or "")
            other = seen.setdefault((key, value), name)
            if other == name or not value:
                continue
            remedy = "grafana_imported_dashboards takes a title: - {id: …, title: Another title}"
            if key == "uid":
                remedy = f"Remove {name} or {other} from the folder or the list"
            raise DashboardError(
                f"{name} and {other} in {directory} both have the {key} '{value}'. Grafana then "
                f"takes no dashboard of the folder. {remedy}."
            )


def write(path: Path, content: bytes, place: Place) -> None:
    """Write a file in one step. Raises OSError."""
    replace(write_temporary(path.parent, [content], place.attributes), path)


def write_state(state: Json, place: Place) -> None:
    """Note what the prepared files are made of. Raises OSError."""
    write(place.directory / _STATE, json.dumps(state, indent=1).encode(), place)


def converge_attributes(path: Path, place: Place, check: bool, outcome: Outcome) -> None:
    """Put owner, group and mode of an existing file right. Raises OSError."""
    if Attributes.of(path.lstat()) == place.attributes:
        return
    outcome.changed_files.append(str(path))
    if not check:
        place.attributes.apply(path)


def content_of(path: Path) -> bytes | None:
    """Return what a file has now, None where there is none. Raises OSError."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return path.read_bytes()
    return None


def missing_imports(
    dashboards: list[Dashboard], source: Source, place: Place, state: Json, outcome: Outcome
) -> list[Dashboard]:
    """Return the dashboards of grafana.com that are not in place; note the uids of the others."""
    missing = []
    for dashboard in dashboards:
        path = place.directory / dashboard.file
        uid = known(path, state.get(path.name), request_of(dashboard, source))
        if uid is None:
            missing.append(dashboard)
        else:
            outcome.uids.append(uid)
    return missing


def converge(
    contents: list[str], dashboards: list[Dashboard], source: Source, place: Place, check: bool
) -> Outcome:
    """Bring the folder to the wanted dashboards. Raises DashboardError, OSError.

    Everything is downloaded, prepared and compared before the first file is replaced. The note of a
    file is written after it: a run killed in between prepares the file again.
    """
    directory = place.directory
    own = parse_own(contents)
    outcome = Outcome(uids=[document["uid"] for _, document in own.values()])
    if not check:
        if not directory.is_dir():
            make_directory(directory, dataclasses.replace(place.attributes, mode=0o755))
        sweep(directory)
    state = read_state(directory)
    requests = {d.file: request_of(d, source) for d in dashboards}
    missing = missing_imports(dashboards, source, place, state, outcome)
    new = {n: file for n, file in own.items() if content_of(directory / n) != file[0]}
    unchanged = {*requests, *own} - {d.file for d in missing} - set(new)
    stale = {name for name in state if name not in requests and name not in own}
    if check:
        outcome.changed_files += [str(directory / name) for name in new]
        outcome.changed_files += [str(directory / dashboard.file) for dashboard in missing]
    else:
        for dashboard in missing:
            document = prepare(dashboard, download(dashboard, place), source)
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
            new[dashboard.file] = (text.encode() + b"\n", document)
            outcome.uids.append(document["uid"])
    wanted = {name: document for name, (_, document) in {**own, **new}.items()}
    check_unique(wanted, directory, stale)
    for name in sorted(unchanged):
        converge_attributes(directory / name, place, check, outcome)
    if not check:
        replace_files(new, stale, requests, state, place)
        outcome.changed_files += [str(directory / name) for name in new]
    outcome.changed_files += [str(directory / name) for name in sorted(stale)]
    return outcome


def replace_files(
    new: dict[str, tuple[bytes, Json]],
    stale: set[str],
    requests: dict[str, list[Any]],
    state: Json,
    place: Place,
) -> None:
    """Write and remove files, and note each in the state. Raises OSError."""
    for name, (content, document) in new.items():
        write(place.directory / name, content, place)
        note = {"sha256": hashlib.sha256(content).hexdigest(), "uid": document["uid"]}
        state[name] = {**note, "request": requests.get(name)}
        write_state(state, place)
    for name in sorted(stale):
        (place.directory / name).unlink(missing_ok=True)
        del state[name]
        write_state(state, place)


def parse_attributes(given: dict[str, Any], check: bool) -> Attributes:
    """Read owner, group and mode of the files. Raises DashboardError."""
    if not re.fullmatch(r"[0-7]{3,4}", given["mode"]):
        raise DashboardError(
            f"mode '{given['mode']}' is not octal: write it in quotes, as \"0640\"."
        )
    uid, gid = os.geteuid(), os.getegid()
    for kind, name in (("owner", given["owner"]), ("group", given["group"])):
        try:
            if kind == "owner" and name is not None:
                uid = pwd.getpwnam(name).pw_uid
            elif name is not None:
                gid = grp.getgrnam(name).gr_gid
        except KeyError:
            if not check:
                raise DashboardError(
                    f"There is no {kind} '{name}': install Grafana before this task, or correct "
                    "the name."
                ) from None
            # The package would bring them; nothing is written in check mode.
            uid, gid = (-1, gid) if kind == "owner" else (uid, -1)
    return Attributes(uid, gid, int(given["mode"], 8))


class QuietModule(AnsibleModule):  # type: ignore[misc]  # Ansible has no type information
    """An AnsibleModule that does not write its arguments, whole files, to the host's journal."""

    def _log_invocation(self) -> None:
        """Log nothing."""


def main() -> None:
    """Run as an Ansible module."""
    module = QuietModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "base_url": {"type": "str", "required": True},
            "contents": {"type": "list", "elements": "str", "default": []},
            "dashboards": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "id": {"type": "int", "required": True},
                    "revision": {"type": "int", "required": True},
                    "sha256": {"type": "str", "required": True},
                    "title": {"type": "str"},
                },
            },
            "datasource_name": {"type": "str", "default": "Prometheus"},
            "datasource_type": {"type": "str", "default": "prometheus"},
            "datasource_uid": {"type": "str", "required": True},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "str", "default": "0640"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    given = module.params
    dashboards = [Dashboard(**entry) for entry in given["dashboards"]]
    source = Source(given["datasource_name"], given["datasource_type"], given["datasource_uid"])
    try:
        attributes = parse_attributes(given, module.check_mode)
        place = Place(Path(given["directory"]), given["base_url"], attributes, given["timeout"])
        check_request(dashboards, place)
        outcome = converge(given["contents"], dashboards, source, place, module.check_mode)
    except DashboardError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"Cannot write {error.filename}: {error.strerror}. The task must run as root "
            "(become: true)."
        )
    module.exit_json(
        changed=bool(outcome.changed_files),
        changed_files=outcome.changed_files,
        uids=outcome.uids,
    )


if __name__ == "__main__":
    main()
