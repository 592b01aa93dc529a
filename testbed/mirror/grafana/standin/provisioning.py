"""Provisioning: data sources once at start, dashboards at start and whenever their files change.

Traps kept: data source and provider files are read at start only; a file that is not YAML stops the
server; a data source whose uid changed fails with "data source not found" and nothing after it is
provisioned; a uid or a title used twice takes every involved provider its right to write, so that
none of its dashboards changes.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import log
from .config import ConfigError, expand_provisioning
from .store import Store, StoreError

_DEFAULT_INTERVAL = 10.0


class ProvisioningError(Exception):
    """Provisioning cannot go on; the server must stop."""


@dataclass
class Provider:
    """One entry of a dashboard provider file."""

    name: str
    path: Path
    folder: str = ""
    interval: float = _DEFAULT_INTERVAL
    keep_deleted: bool = False
    folders_from_files: bool = False
    editable: bool = False
    due: float = field(default=0.0, compare=False)


def _interpolate(value: Any) -> Any:
    if isinstance(value, str):
        return expand_provisioning(value)
    if isinstance(value, list):
        return [_interpolate(item) for item in value]
    if isinstance(value, dict):
        return {key: _interpolate(item) for key, item in value.items()}
    return value


def _uid(prefix: str, name: str) -> str:
    return prefix + hashlib.sha256(name.encode()).hexdigest()[:16].upper()


def _documents(folder: Path, logger: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the parsed and expanded YAML files of a folder, in the order of their names."""
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
    except OSError as error:
        log.line(
            logger,
            "error",
            "can't read provisioning files from directory",
            path=folder,
            error=error,
        )
        return []
    documents = []
    for path in paths:
        try:
            document = _interpolate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ConfigError) as error:
            words = " ".join(str(error).split())
            raise ProvisioningError(
                f"could not parse provisioning config file: {path.name} error: {words}"
            ) from error
        if not isinstance(document, dict):
            raise ProvisioningError(
                f"could not parse provisioning config file: {path.name} error: yaml: unmarshal "
                f"errors: cannot unmarshal {type(document).__name__} into a mapping"
            )
        documents.append((path.name, document))
    return documents


def _entries(name: str, document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = document.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProvisioningError(
            f"could not parse provisioning config file: {name} error: yaml: unmarshal errors: "
            f"{key} is not a list of mappings"
        )
    return entries


def provision_data_sources(store: Store, folder: Path) -> dict[str, dict[str, str]]:
    """Apply the data source files of a folder.

    Returns:
        The secrets of each data source by uid; they live in memory only.

    Raises:
        ProvisioningError: a file cannot be read or parsed, has an entry without name or type, or
        more than one
            data source is the default.
    """
    logger = "provisioning.datasources"
    wanted: list[dict[str, Any]] = []
    deleted: list[str] = []
    for name, document in _documents(folder, logger):
        deleted += [str(e.get("name")) for e in _entries(name, document, "deleteDatasources")]
        wanted += _entries(name, document, "datasources")
    if sum(bool(source.get("isDefault")) for source in wanted) > 1:
        raise ProvisioningError(
            "datasource.yaml config is invalid. Only one datasource per organization can be marked "
            "as default"
        )
    secrets: dict[str, dict[str, str]] = {}
    try:
        for name in deleted:
            if store.delete_data_source(name):
                log.line(logger, "info", "deleted datasource based on configuration", name=name)
        for entry in wanted:
            source = _data_source(entry)
            log.line(
                logger,
                "info",
                "inserting datasource from configuration",
                name=source["name"],
                uid=source["uid"],
            )
            store.save_data_source(source)
            secrets[source["uid"]] = source["secureJsonData"]
    except StoreError as error:
        log.line("provisioning", "error", "Failed to provision data sources", error=error)
    return secrets


def _data_source(entry: dict[str, Any]) -> dict[str, Any]:
    for key in ("name", "type"):
        if not entry.get(key):
            raise ProvisioningError(f"failed to provision data source: {key} is missing: {entry}")
    return {
        "name": str(entry["name"]),
        "uid": str(entry.get("uid") or _uid("P", str(entry["name"]))),
        "type": str(entry["type"]),
        "access": entry.get("access") or "proxy",
        "url": str(entry.get("url") or ""),
        "basicAuth": bool(entry.get("basicAuth")),
        "basicAuthUser": str(entry.get("basicAuthUser") or ""),
        "isDefault": bool(entry.get("isDefault")),
        "jsonData": entry.get("jsonData") or {},
        "readOnly": not entry.get("editable"),
        "secureJsonData": {k: str(v) for k, v in (entry.get("secureJsonData") or {}).items()},
    }


def read_providers(folder: Path) -> list[Provider]:
    """Return the dashboard providers of a folder's files.

    Raises:
        ProvisioningError: a file cannot be read or parsed, or a provider has no path.
    """
    providers: list[Provider] = []
    for name, document in _documents(folder, "provisioning.dashboard"):
        for entry in _entries(name, document, "providers"):
            options = entry.get("options") or {}
            if not isinstance(options.get("path"), str):
                raise ProvisioningError(
                    f"failed to load dashboards, path param is not a string: {name}"
                )
            providers.append(
                Provider(
                    name=str(entry.get("name") or ""),
                    path=Path(options["path"]),
                    folder=str(entry.get("folder") or ""),
                    interval=float(entry.get("updateIntervalSeconds") or _DEFAULT_INTERVAL),
                    keep_deleted=bool(entry.get("disableDeletion")),
                    folders_from_files=bool(options.get("foldersFromFilesStructure")),
                    editable=bool(entry.get("allowUiUpdates")),
                )
            )
    return providers


class Dashboards:
    """Keeps the database's dashboards what the providers' files say."""

    def __init__(self, store: Store, providers: list[Provider]) -> None:
        """Take the providers; nothing is read yet."""
        self._store = store
        self._providers = providers
        self._warned: set[tuple[str, ...]] = set()
        self._stop = threading.Event()

    def run(self) -> None:
        """Scan, each provider at its own interval, until ``stop`` is called."""
        while not self._stop.is_set():
            now = time.monotonic()
            if any(provider.due <= now for provider in self._providers):
                self.scan()
                for provider in self._providers:
                    if provider.due <= now:
                        provider.due = now + provider.interval
            self._stop.wait(0.1)

    def stop(self) -> None:
        """End ``run``."""
        self._stop.set()

    def scan(self) -> None:
        """Read every provider's files and bring the database to them."""
        found = {provider.name: self._read(provider) for provider in self._providers}
        barred = self._duplicates(found)
        known = {row["path"]: row for row in self._store.dashboards()}
        for path, row in known.items():
            if row["provider"] not in found:
                self._store.delete_dashboard(path)
        for provider in self._providers:
            if provider.name in barred:
                continue
            files = found[provider.name]
            for path, row in known.items():
                gone = row["provider"] == provider.name and path not in files
                if gone and not provider.keep_deleted and not Path(path).exists():
                    self._store.delete_dashboard(path)
            for path, (changed, folder, body) in files.items():
                if path in known and known[path]["changed"] == changed:
                    continue
                try:
                    self._store.save_dashboard(provider.name, path, changed, folder, body)
                except StoreError as error:
                    self._warn("error", "failed to save dashboard", file=path, error=error)

    def _read(self, provider: Provider) -> dict[str, tuple[float, str, dict[str, Any]]]:
        files: dict[str, tuple[float, str, dict[str, Any]]] = {}
        if not provider.path.is_dir():
            self._warn(
                "error",
                "failed to search for dashboards",
                path=provider.path,
                error="no such directory",
            )
            return files
        for path in sorted(provider.path.rglob("*.json")):
            relative = path.relative_to(provider.path)
            if any(part.startswith(".") for part in relative.parts[:-1]):
                continue
            try:
                changed = path.stat().st_mtime
                body = json.loads(path.read_text(encoding="utf-8"))
                if not isinstance(body, dict):
                    raise ValueError("not a JSON object")
                if not body.get("title"):
                    raise ValueError("Dashboard title cannot be empty")
            except (OSError, ValueError) as error:
                self._warn("error", "failed to load dashboard from ", file=path, error=error)
                continue
            folder = provider.folder
            if provider.folders_from_files and len(relative.parts) > 1:
                folder = relative.parts[-2]
            body["id"] = None
            body["uid"] = str(body.get("uid") or _uid("p", str(path)))
            files[str(path)] = (changed, folder, body)
        return files

    def _duplicates(
        self, found: dict[str, dict[str, tuple[float, str, dict[str, Any]]]]
    ) -> set[str]:
        uids: dict[str, list[str]] = defaultdict(list)
        titles: dict[tuple[str, str], list[str]] = defaultdict(list)
        for provider, files in found.items():
            for _, folder, body in files.values():
                uids[body["uid"]].append(provider)
                titles[folder, body["title"]].append(provider)
        barred: set[str] = set()
        for uid, names in uids.items():
            if len(names) > 1:
                barred.update(names)
                self._warn(
                    "warn",
                    "the same UID is used more than once",
                    uid=uid,
                    times=len(names),
                    providers=sorted(set(names)),
                )
        for (folder, title), names in titles.items():
            if len(names) > 1:
                barred.update(names)
                self._warn(
                    "warn",
                    "dashboard title is not unique in folder",
                    title=title,
                    folder=folder,
                    times=len(names),
                    providers=sorted(set(names)),
                )
        for name in sorted(barred):
            self._warn(
                "warn",
                "dashboards provisioning provider has no database write permissions because of "
                "duplicates",
                provider=name,
            )
        return barred

    def _warn(self, level: str, message: str, **values: object) -> None:
        """Log once; the original repeats itself at every scan."""
        key = (level, message, *(f"{k}={v}" for k, v in values.items()))
        if key not in self._warned:
            self._warned.add(key)
            log.line("provisioning.dashboard", level, message, **values)
