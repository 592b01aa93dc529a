"""What a Compose application says of itself, and what can be found where it says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .problems import Problem

Json = dict[str, Any]

FIELD = "x-labstack"
KEYS = ("front", "release", "data", "metrics", "verify", "memory")
EDGE_NETWORK = "labstack_edge"
# Names that the host uses for something else.
RESERVED = ("webapp",)
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)
URL_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
MEMORY = re.compile(r"[1-9][0-9]*[kmg]", re.IGNORECASE)
# Where databases keep what they know, by the end of the mount's target; and who does.
DATABASES = {
    "/var/lib/mysql": "mysql",
    "/var/lib/postgresql": "postgres",
    "/var/lib/postgresql/data": "postgres",
    "/data/db": "mongo",
}
IMAGES = {"mysql": "mysql", "mariadb": "mysql", "postgres": "postgres", "mongo": "mongo"}
KEEPERS = {**IMAGES, "redis": "redis", "valkey": "redis"}
# Where MySQL's images take the password of root from, in plain.
PLAIN_ROOT = ("MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD")
# A health check for those that bring none: whether the server takes connections.
HEALTH = {
    "mysql": "mysqladmin ping -h 127.0.0.1 --silent || mariadb-admin ping -h 127.0.0.1 --silent",
    "postgres": "pg_isready --quiet",
    "redis": "redis-cli ping",
}
# A service without a limit gets one. MySQL as it comes takes 493 MB (measured with 9.7).
MEMORY_OF = {"mysql": "640m", "postgres": "192m", "mongo": "384m", "redis": "64m"}
MEMORY_DEFAULT = "128m"
# What a page may answer where nobody says what it should: itself, or the way to another.
GOOD = [200, 301, 302, 303, 307, 308]
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|API_?KEY", re.IGNORECASE)

FORMS = {
    "front": "x-labstack:\n  front: {service: web, port: 8000}",
    "release": "x-labstack:\n  release: [migrate]",
    "data": "x-labstack:\n  data: {services: [db], volumes: [uploads]}",
    "metrics": "x-labstack:\n  metrics: {service: web, port: 8000, path: /metrics}",
    "verify": "x-labstack:\n  verify: [{path: /, status: 200, contains: Welcome}]",
    "memory": "x-labstack:\n  memory: {web: 128m}",
}


@dataclass
class Findings:
    """What is wrong, and what was found without being said.

    Attributes:
        problems: reasons not to start.
        told: one sentence each.
        warnings: what works, and should not stay.
    """

    problems: list[Problem] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wrong(self, what: str, form: str) -> None:
        """Note a problem with the smallest valid form of what is wrong."""
        self.problems.append(Problem(what, form))


@dataclass(frozen=True)
class Application:
    """An application as the host's variables name it, with its Compose file.

    Attributes:
        name: its key in webapp_apps, and its Compose project.
        compose: what `docker compose config --format json` says.
        contract: its x-labstack, over which the variables' own has gone.
        settings: its entry in webapp_apps.
        file: the Compose file's name.
        comes_back: whether it is an earlier release, which may not know all that the variables of
            now name.
    """

    name: str
    compose: Json
    contract: Json
    settings: Json
    file: str
    comes_back: bool = False

    @property
    def services(self) -> dict[str, Json]:
        """The services by name."""
        return self.compose.get("services") or {}

    def where(self, key: str) -> str:
        """Name the place of a key of the contract."""
        if key in (self.settings.get("contract") or {}):
            return f"webapp_apps.{self.name}.contract.{key}"
        return f"{self.file}, {FIELD}.{key}"


def read(
    name: str,
    compose: Json,
    settings: Json,
    file: str = "compose.yaml",
    comes_back: bool = False,
) -> Application:
    """Put together what the Compose file and the host's variables say of an application."""
    said = compose.get(FIELD)
    own = settings.get("contract")
    contract = {
        **(said if isinstance(said, dict) else {}),
        **(own if isinstance(own, dict) else {}),
    }
    return Application(name, compose, contract, settings, file, comes_back)


# --- What the host's variables say ---------------------------------------------------------------


def check_settings(name: str, settings: object) -> list[Problem]:
    """Return what is wrong with an entry of webapp_apps."""
    found = Findings()
    place = f"webapp_apps.{name}"
    form = f"webapp_apps:\n  {name}: {{source: ../{name}, path: /{name}}}"
    if not NAME.fullmatch(name) or name in RESERVED:
        why = "is the bundled application" if name in RESERVED else "is no name of an application"
        found.wrong(
            f"webapp_apps: '{name}' {why}", "webapp_apps:\n  shop: {source: ../shop, path: /shop}"
        )
    if not isinstance(settings, dict):
        found.wrong(f"{place} is no dictionary", form)
        return found.problems
    known = {
        "source",
        "repo",
        "version",
        "directory",
        "deploy_key",
        "token",
        "path",
        "host",
        "strip_path",
        "environment",
        "secrets",
        "memory",
        "contract",
        "state",
        "max_body",
    }
    for key in sorted(set(settings) - known):
        found.wrong(
            f"{place} has the key '{key}', which nobody knows", f"one of {', '.join(sorted(known))}"
        )
    if settings.get("state", "present") not in ("present", "absent"):
        found.wrong(f"{place}.state is '{settings['state']}'", "state: absent")
    if settings.get("state") == "absent":
        return found.problems
    if ("source" in settings) == ("repo" in settings):
        both = "both source and repo" if "source" in settings else "neither source nor repo"
        found.wrong(
            f"{place} has {both}",
            f"{form}\nor: {{repo: https://git.example.org/{name}.git, version: v1, path: /{name}}}",
        )
    _check_version(name, settings, found)
    path, host = settings.get("path"), settings.get("host")
    if not path and not host:
        found.wrong(
            f"{place} does not say where it answers",
            f"path: /{name}     or     host: {name}.example.org",
        )
    if path and not (isinstance(path, str) and re.fullmatch(r"/|(/[A-Za-z0-9_-]+)+", path)):
        found.wrong(f"{place}.path is '{path}'", f"path: /{name}")
    if host and not (isinstance(host, str) and HOST_NAME.fullmatch(host)):
        found.wrong(f"{place}.host is '{host}'", f"host: {name}.example.org")
    for key in ("environment", "secrets", "memory", "contract"):
        if not isinstance(settings.get(key, {}), dict):
            found.wrong(
                f"{place}.{key} is no dictionary",
                {
                    "environment": 'environment: {DEBUG: "0"}',
                    "secrets": 'secrets: {db_password: "{{ vault_shop_db_password }}"}',
                    "memory": "memory: {web: 128m}",
                    "contract": "contract: {front: {service: web, port: 8000}}",
                }[key],
            )
    return found.problems


def _check_version(name: str, settings: Json, found: Findings) -> None:
    place, version = f"webapp_apps.{name}", settings.get("version")
    if "repo" in settings and not version:
        found.wrong(f"{place} has no version: branch, tag or commit", "version: v1.2.0")
    if "repo" not in settings and version:
        found.wrong(
            f"{place} is to have the version {version}, and has no repo to take it from",
            f"{name}: {{repo: https://git.example.org/{name}.git, version: v1, path: /{name}}}",
        )


def check_places(apps: Mapping[str, Any], bundled: bool) -> list[Problem]:
    """Return which applications would answer at the same place."""
    taken: dict[tuple[str, str], str] = {("", "/"): "the bundled application"} if bundled else {}
    found = Findings()
    for name, settings in apps.items():
        if not isinstance(settings, dict) or settings.get("state") == "absent":
            continue
        place = (settings.get("host") or "", settings.get("path") or "/")
        if place in taken:
            where = "".join(place)
            found.wrong(
                f"{taken[place]} and webapp_apps.{name} both answer at {where}",
                f"path: /{name}     or     host: {name}.example.org",
            )
        taken.setdefault(place, f"webapp_apps.{name}")
    for (host, path), name in taken.items():
        for (other_host, other_path), other in taken.items():
            if path == "/" or host != other_host or not other_path.startswith(f"{path}/"):
                continue
            found.wrong(
                f"{other} answers at {other_host}{other_path}, which is below {path} of {name}",
                "path: /{0}     or     host: {0}.example.org".format(other.rpartition(".")[2]),
            )
    return found.problems


# --- What the Compose file says ------------------------------------------------------------------


def _kind(service: Json) -> str:
    """Name the database that a service is, by its image or by where it keeps its data."""
    image = re.sub(r"[:@].*", "", str(service.get("image") or "").rpartition("/")[2])
    if image in KEEPERS:
        return KEEPERS[image]
    targets = [mount.get("target", "") for mount in _mounts(service)]
    return next((kind for target, kind in DATABASES.items() if target.rstrip("/") in targets), "")


def _dumped(service: Json) -> bool:
    """Say whether a backup dumps a service: a MySQL with a database, and no MariaDB."""
    image = re.sub(r"[:@].*", "", str(service.get("image") or "").rpartition("/")[2])
    words = _environment(service)
    return (
        _kind(service) == "mysql"
        and image != "mariadb"
        and not any(key.startswith("MARIADB_") for key in words)
        and bool(words.get("MYSQL_DATABASE"))
    )


def _mounts(service: Json) -> list[Json]:
    return [mount for mount in service.get("volumes") or [] if isinstance(mount, dict)]


def _published(service: Json) -> dict[int, int]:
    """Return the container's ports that a service publishes, and the host's port of each."""
    return {
        int(port["target"]): int(str(port.get("published") or 0).partition("-")[0])
        for port in service.get("ports") or []
        if port.get("protocol", "tcp") == "tcp"
    }


def _environment(service: Json) -> dict[str, str]:
    return {key: str(value or "") for key, value in (service.get("environment") or {}).items()}


def _service(app: Application, key: str, name: object, found: Findings) -> str:
    """Return the name of a service that the contract names, if there is one."""
    if isinstance(name, str) and name in app.services:
        return name
    found.wrong(
        f"{app.where(key)}: there is no service '{name}' in {app.file}; "
        f"it has {', '.join(app.services)}",
        FORMS[key],
    )
    return ""


def _port(app: Application, key: str, value: object, found: Findings) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536:
        return value
    found.wrong(f"{app.where(key)}: port is '{value}', which is no port of a container", FORMS[key])
    return 0


def _path(app: Application, key: str, value: object, found: Findings) -> str:
    if isinstance(value, str) and URL_PATH.fullmatch(value):
        return value
    found.wrong(f"{app.where(key)}: path is '{value}', which is no path of a page", FORMS[key])
    return "/"


def _keys(app: Application, key: str, value: object, known: Sequence[str], found: Findings) -> Json:
    """Return a dictionary of the contract, if it is one and has known keys only."""
    if not isinstance(value, dict):
        found.wrong(f"{app.where(key)} is '{value}', which is no dictionary", FORMS[key])
        return {}
    for unknown in sorted(set(value) - set(known)):
        found.wrong(
            f"{app.where(key)} has the key '{unknown}'; it knows {', '.join(known)}", FORMS[key]
        )
    return value


def _front_service(app: Application, left: Iterable[str], found: Findings) -> str:
    """Find the service that answers people: the only one, or the only one that publishes a port."""
    candidates = list(left)
    publishing = [name for name in candidates if _published(app.services[name])]
    web = [name for name in publishing if set(_published(app.services[name]).values()) & {80, 443}]
    for names, why in (
        (candidates, "the only service that is no database"),
        (publishing, "the only one that publishes a port"),
        (web, "the only one that publishes port 80 or 443"),
    ):
        if len(names) == 1:
            found.told.append(f"{names[0]} answers people: {why}")
            return names[0]
    found.wrong(
        f"{app.file} does not say which service answers people: "
        f"{', '.join(candidates) or 'it has none'}",
        FORMS["front"],
    )
    return ""


def _front_port(app: Application, service: str, found: Findings) -> int:
    """Find the port of the front service: the one for HTTP, or the only one."""
    published = _published(app.services[service])
    plain = [port for port, host in published.items() if 80 in (port, host)]
    exposed = [
        int(str(port).partition("/")[0]) for port in app.services[service].get("expose") or []
    ]
    for ports, why in (
        (plain, "for HTTP"),
        (list(published), "the only one that it publishes"),
        (exposed, "the only one that it exposes"),
    ):
        if len(ports) == 1:
            found.told.append(f"{service} answers on its port {ports[0]}: {why}")
            return ports[0]
    seen = ", ".join(map(str, [*published, *exposed])) or "none"
    found.wrong(
        f"{app.file} does not say on which port {service} answers (ports: {seen})",
        FORMS["front"].replace("web", service),
    )
    return 0


def _front(app: Application, left: Sequence[str], found: Findings) -> Json:
    said = app.contract.get("front", {})
    said = _keys(app, "front", said, ("service", "port", "health"), found)
    service = (
        _service(app, "front", said["service"], found)
        if "service" in said
        else _front_service(app, left, found)
    )
    if not service:
        return {"service": "", "port": 0, "health": None}
    port = (
        _port(app, "front", said["port"], found)
        if "port" in said
        else _front_port(app, service, found)
    )
    definition = app.services[service]
    if definition.get("network_mode"):
        found.wrong(
            f"{app.file}: {service} has network_mode: {definition['network_mode']}, "
            "where Apache does not reach it",
            "remove network_mode",
        )
    own = definition.get("healthcheck") or {}
    if "health" in said:
        health = None if said["health"] is None else _path(app, "front", said["health"], found)
    elif own.get("test") and not own.get("disable"):
        health = None
        found.told.append(f"{service} is healthy when its own health check says so")
    else:
        health = "/"
        found.told.append(f"{service} has no health check: it is healthy when / answers")
    return {"service": service, "port": port, "health": health}


def _list(app: Application, key: str, value: object, found: Findings) -> list[str]:
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return value
    found.wrong(f"{app.where(key)} is '{value}', which is no list of names", FORMS[key])
    return []


def _release(app: Application, found: Findings) -> list[str]:
    if "release" in app.contract:
        names = _list(app, "release", app.contract["release"], found)
        return [name for name in names if _service(app, "release", name, found)]
    waited_for = {
        name
        for service in app.services.values()
        for name, how in (service.get("depends_on") or {}).items()
        if isinstance(how, dict) and how.get("condition") == "service_completed_successfully"
    }
    names = [name for name in app.services if name in waited_for]
    if names:
        found.told.append(
            f"{', '.join(names)} runs once before a release: another service waits for its end"
        )
    return names


def _volume(app: Application, short: str) -> str:
    return str(
        (app.compose.get("volumes") or {}).get(short, {}).get("name") or f"{app.name}_{short}"
    )


def _data(app: Application, found: Findings) -> tuple[list[str], list[str]]:
    """Return the services that hold data, and the named volumes that are no database's."""
    said = _keys(app, "data", app.contract.get("data", {}), ("services", "volumes"), found)
    if "services" in said:
        services = [
            name
            for name in _list(app, "data", said["services"], found)
            if _service(app, "data", name, found)
        ]
    else:
        services = [name for name, service in app.services.items() if _kind(service)]
        if services:
            found.told.append(f"{', '.join(services)} holds data, and stays as it is in a release")
    found.warnings += [
        f"a backup copies {name}'s files while it runs, and may miss what it writes meanwhile: "
        "only a MySQL with MYSQL_DATABASE is dumped"
        for name in services
        if name in app.services
        and not _dumped(app.services[name])
        and any(mount.get("type") == "volume" for mount in _mounts(app.services[name]))
    ]
    for name, service in app.services.items():
        for mount in _mounts(service):
            if (
                mount.get("type") == "bind"
                and str(mount.get("target", "")).rstrip("/") in DATABASES
            ):
                found.wrong(
                    f"{app.file}: {name} keeps its data in {mount.get('source')}, "
                    "where the next release does not find it",
                    f"services:\n  {name}:\n    volumes: [{name}-data:{mount['target']}]\n"
                    f"volumes:\n  {name}-data:",
                )
            if str(mount.get("source", "")).endswith("docker.sock"):
                found.warnings.append(
                    f"{name} mounts the engine's socket: who controls it is root on the host"
                )
    named = [
        str(mount["source"])
        for name, service in app.services.items()
        if not _dumped(service)
        for mount in _mounts(service)
        if mount.get("type") == "volume" and mount.get("source")
    ]
    volumes = list(dict.fromkeys(named))
    if "volumes" in said:
        volumes = _list(app, "data", said["volumes"], found)
        for name in volumes:
            if name not in (app.compose.get("volumes") or {}):
                found.wrong(
                    f"{app.where('data')}: there is no volume '{name}' in {app.file}", FORMS["data"]
                )
    return services, [_volume(app, name) for name in volumes]


def _mysql(app: Application, services: Iterable[str], secrets_directory: str) -> list[Json]:
    """Return what a backup needs to know of each MySQL."""
    servers = []
    for name in services:
        if not _dumped(app.services[name]):
            continue
        environment = _environment(app.services[name])
        secret = environment.get("MYSQL_ROOT_PASSWORD_FILE", "").rpartition("/")[2]
        file = (
            host_secret(app.name, secret)
            if secret
            else host_secret(app.name, f"{name}_root_password")
        )
        servers.append(
            {
                "service": name,
                "database": environment["MYSQL_DATABASE"],
                "root_password_file": f"{secrets_directory}/{file}",
                "plain": next((key for key in PLAIN_ROOT if environment.get(key)), ""),
            }
        )
    return servers


def _metrics(app: Application, front: Json, found: Findings) -> Json | None:
    if not app.contract.get("metrics"):
        found.told.append(
            "no metrics of its own: it is watched from outside, and by its containers"
        )
        return None
    said = _keys(app, "metrics", app.contract["metrics"], ("service", "port", "path"), found)
    service = _service(app, "metrics", said.get("service", front["service"]), found)
    port = said.get("port", front["port"] if service == front["service"] else None)
    return {
        "service": service,
        "port": _port(app, "metrics", port, found),
        "path": _path(app, "metrics", said.get("path", "/metrics"), found),
    }


def _verify(app: Application, front: Json, found: Findings) -> list[Json]:
    said = app.contract.get("verify")
    if said is None:
        path = front["health"] or "/"
        found.told.append(f"the verification looks at {path}")
        return [{"path": path, "status": GOOD, "contains": ""}]
    if not isinstance(said, list):
        found.wrong(f"{app.where('verify')} is '{said}', which is no list", FORMS["verify"])
        return []
    pages = []
    for entry in said:
        page = _keys(app, "verify", entry, ("path", "status", "contains"), found)
        status = page.get("status", 200)
        codes = status if isinstance(status, list) else [status]
        if not all(isinstance(code, int) and 100 <= code < 600 for code in codes):
            found.wrong(
                f"{app.where('verify')}: status is '{status}', which is no HTTP status",
                FORMS["verify"],
            )
        pages.append(
            {
                "path": _path(app, "verify", page.get("path", "/"), found),
                "status": codes,
                "contains": str(page.get("contains", "")),
            }
        )
    return pages


def _memory(app: Application, found: Findings) -> dict[str, str]:
    """Return the limit of each service: the host's variable, the contract's, Compose's, or ours."""
    said = _keys(app, "memory", app.contract.get("memory", {}), list(app.services), found)
    said = {**said, **app.settings.get("memory", {})}
    limits, chosen = {}, []
    for name, service in app.services.items():
        resources = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
        own = service.get("mem_limit") or resources.get("memory")
        limit = str(said.get(name) or own or MEMORY_OF.get(_kind(service), MEMORY_DEFAULT))
        if name in said and not MEMORY.fullmatch(limit):
            found.wrong(
                f"{app.where('memory')}: {name} has '{limit}', which is no size",
                FORMS["memory"].replace("web", name),
            )
        if name not in said and not own:
            chosen.append(f"{name} {limit}")
        limits[name] = limit
    for name in sorted(set(app.settings.get("memory", {})) - set(app.services)):
        if app.comes_back:
            found.told.append(f"memory of {name}: this release has no such service")
            continue
        found.wrong(
            f"webapp_apps.{app.name}.memory: there is no service '{name}' in {app.file}",
            "memory: {" + next(iter(app.services), "web") + ": 128m}",
        )
    if chosen:
        found.told.append(f"memory limits: {', '.join(chosen)}")
    return limits


def _stem(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def host_secret(application: str, secret: str) -> str:
    """Return the name of a secret's file on the host, which no other application has.

    An application's name has no underscore, and none of the stack's own begins with `app_`.
    """
    return f"app_{application}_{_stem(secret)}"


def _secrets(app: Application, found: Findings) -> list[Json]:
    """Return the secrets that Compose mounts as files, and what the host's variables give them."""
    declared = {
        name: what
        for name, what in (app.compose.get("secrets") or {}).items()
        if isinstance(what, dict) and what.get("file")
    }
    given = app.settings.get("secrets") or {}
    for name in sorted(set(given) - set(declared)):
        if app.comes_back:
            found.told.append(f"secret {name}: this release mounts none of this name")
            continue
        found.wrong(
            f"webapp_apps.{app.name}.secrets.{name}: {app.file} mounts no secret of this name",
            f"secrets:\n  {name}: {{file: ./secrets/{name}}}\n"
            f"services:\n  web:\n    secrets: [{name}]    # /run/secrets/{name} there",
        )
    for name, service in app.services.items():
        for key, value in sorted(_environment(service).items()):
            if SECRET_NAME.search(key) and not key.endswith("_FILE") and value:
                found.warnings.append(
                    f"{name} has {key} in its environment, where `docker inspect` shows it; "
                    f"a secret of Compose is a file instead ({key}_FILE: /run/secrets/…)"
                )
    return [
        {
            "name": name,
            "file": host_secret(app.name, name),
            "services": [service for service in app.services if name in _mounted(app, service)],
        }
        for name in declared
    ]


def _mounted(app: Application, service: str) -> set[str]:
    """Name the secrets that a service mounts."""
    entries = app.services[service].get("secrets") or []
    return {entry["source"] if isinstance(entry, dict) else str(entry) for entry in entries}


def _override(app: Application, plan: Json) -> Json:
    """Return what the generated file sets for each service."""
    front = plan["front"]["service"]
    reached = {front} | ({plan["metrics"]["service"]} if plan["metrics"] else set())
    services: Json = {}
    for name, service in app.services.items():
        words: Json = {
            "mem_limit": plan["memory"][name],
            "labels": {"labstack.application": app.name},
        }
        words["restart"] = (
            "no" if name in plan["release"] else str(service.get("restart") or "unless-stopped")
        )
        if words["restart"] == "no" and name not in plan["release"]:
            words["restart"] = "unless-stopped"
        if service.get("build") is not None:
            words["image"] = f"labstack-apps/{app.name}/{name}:{plan['name']}"
            words["pull_policy"] = "never"
        kind = _kind(service)
        if (
            name in plan["data"]["services"]
            and kind in HEALTH
            and not (service.get("healthcheck") or {}).get("test")
        ):
            words["healthcheck"] = {
                "test": ["CMD-SHELL", HEALTH[kind]],
                "interval": "5s",
                "timeout": "5s",
                "retries": 24,
            }
        if name in reached:
            networks: Json = dict.fromkeys(service.get("networks") or {"default": None})
            networks[EDGE_NETWORK] = {"aliases": [f"{app.name}-{name}"]}
            words["networks"] = networks
        if name == front or name in plan["release"]:
            words["environment"] = {
                key: str(value) for key, value in (app.settings.get("environment") or {}).items()
            }
        services[name] = words
    return services


def plan(app: Application, release: str, secrets_directory: str) -> tuple[Json, Findings]:
    """Return what is to be done with an application, and what was found on the way.

    Args:
        app: the application.
        release: the release's name, the tag of its images.
        secrets_directory: where the host keeps secrets.

    Returns:
        The plan, incomplete where there are problems.
    """
    found = Findings()
    for where, said in (
        (f"{app.file}, {FIELD}", app.compose.get(FIELD)),
        (f"webapp_apps.{app.name}.contract", app.settings.get("contract")),
    ):
        if said is not None and not isinstance(said, dict):
            found.wrong(f"{where} is no dictionary", FORMS["front"])
        for key in sorted(set(said if isinstance(said, dict) else ()) - set(KEYS)):
            found.wrong(f"{where} has the key '{key}'; it knows {', '.join(KEYS)}", FORMS["front"])
    if not app.services:
        found.wrong(
            f"{app.file} has no services",
            'services:\n  web:\n    build: .\n    ports: ["8000:8000"]',
        )
        return {}, found
    once = _release(app, found)
    data, volumes = _data(app, found)
    front = _front(app, [name for name in app.services if name not in {*once, *data}], found)
    metrics = _metrics(app, front, found)
    memory = _memory(app, found)
    secrets = _secrets(app, found)
    verify = _verify(app, front, found)
    others = [name for name in app.services if name not in {*once, *data, front["service"]}]
    result: Json = {
        "name": release,
        "project": app.name,
        "front": front,
        "release": once,
        "others": others,
        "data": {
            "services": data,
            "mysql": _mysql(app, data, secrets_directory),
            "volumes": volumes,
        },
        "metrics": metrics,
        "verify": verify,
        "memory": memory,
        "secrets": secrets,
        "built": [
            name for name, service in app.services.items() if service.get("build") is not None
        ],
    }
    result["override"] = _override(app, result) if not found.problems else {}
    return result, found
