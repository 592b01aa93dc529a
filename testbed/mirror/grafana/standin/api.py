"""The HTTP side: the API calls of provisioning roles, checks and tests, and three plain pages."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import secrets
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from . import log, prometheus
from .config import Settings
from .store import Store

COMMIT = "fake"
_COOKIE = "grafana_session"
_DURATION = re.compile(r"now(?:-(\d+)([smhdw]))?$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class ApiError(Exception):
    """An answer that is not the one asked for: status, message and the original's message id."""

    def __init__(self, status: int, message: str, message_id: str = "") -> None:
        """Keep the parts of the answer."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.message_id = message_id


@dataclass
class Application:
    """What the handlers of one server share."""

    settings: Settings
    store: Store
    version: str
    source_secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    editable_providers: set[str] = field(default_factory=set)
    sessions: dict[str, str] = field(default_factory=dict)

    def source(self, uid: str) -> dict[str, Any]:
        """Return a data source by uid.

        Raises:
            ApiError: there is none.
        """
        for source in self.store.data_sources():
            if source["uid"] == uid:
                return source
        raise ApiError(404, "Data source not found")

    def dashboard(self, uid: str) -> dict[str, Any]:
        """Return a dashboard's row by uid.

        Raises:
            ApiError: there is none.
        """
        for row in self.store.dashboards():
            if row["uid"] == uid:
                return row
        raise ApiError(404, "Dashboard not found", "dashboards.not-found")

    def health(self) -> dict[str, Any]:
        """Answer ``/api/health``."""
        return {"database": "ok", "version": self.version, "commit": COMMIT}

    def user(self, login: str) -> dict[str, Any]:
        """Answer ``/api/user``."""
        return {
            "id": 1,
            "login": login,
            "email": self.settings.get("security", "admin_email"),
            "orgId": 1,
            "isGrafanaAdmin": True,
            "isDisabled": False,
        }

    def search(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """Answer ``/api/search``: by type, part of the title, tag and uid."""
        if query.get("type") not in (None, "", "dash-db"):
            return []
        found = []
        for row in self.store.dashboards():
            tags = row["body"].get("tags") or []
            if query.get("query", "").lower() not in row["title"].lower():
                continue
            if query.get("tag") and query["tag"] not in tags:
                continue
            if query.get("dashboardUIDs") and query["dashboardUIDs"] != row["uid"]:
                continue
            found.append(
                {
                    "id": row["id"],
                    "uid": row["uid"],
                    "orgId": 1,
                    "title": row["title"],
                    "uri": f"db/{_slug(row['title'])}",
                    "url": f"/d/{row['uid']}/{_slug(row['title'])}",
                    "type": "dash-db",
                    "tags": tags,
                    "folderTitle": row["folder"],
                    "isStarred": False,
                }
            )
        return found[: int(query.get("limit") or 1000)]

    def dashboard_answer(self, uid: str) -> dict[str, Any]:
        """Answer ``/api/dashboards/uid/UID``."""
        row = self.dashboard(uid)
        slug = _slug(row["title"])
        return {
            "meta": {
                "type": "db",
                "slug": slug,
                "url": f"/d/{uid}/{slug}",
                "version": row["version"],
                "folderTitle": row["folder"] or "General",
                "canEdit": True,
                "canSave": row["provider"] in self.editable_providers,
                "provisioned": True,
                "provisionedExternalId": Path(row["path"]).name,
            },
            "dashboard": {**row["body"], "id": row["id"], "version": row["version"]},
        }

    def home(self) -> dict[str, Any]:
        """Answer ``/api/dashboards/home``: the configured file, or an empty page."""
        path = self.settings.get("dashboards", "default_home_dashboard_path")
        body: dict[str, Any] = {"title": "Home", "panels": []}
        if path:
            try:
                body = json.loads(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ApiError(500, "Failed to load home dashboard") from error
        return {
            "meta": {"isHome": True, "canEdit": False, "folderTitle": "General"},
            "dashboard": body,
        }

    def source_answer(self, source: dict[str, Any]) -> dict[str, Any]:
        """Answer ``/api/datasources/uid/UID``: of the secrets only the names."""
        fields = dict.fromkeys(self.source_secrets.get(source["uid"], {}), True)
        return {**source, "orgId": 1, "secureJsonFields": fields, "version": 1}

    def source_health(self, uid: str) -> tuple[int, dict[str, Any]]:
        """Answer ``/api/datasources/uid/UID/health`` by really asking Prometheus."""
        source = self.source(uid)
        try:
            if source["type"] != "prometheus":
                raise prometheus.QueryError(f"the fake cannot query type {source['type']}")
            prometheus.api(
                source, self.source_secrets.get(uid, {}), "/api/v1/query", {"query": "1+1"}
            )
        except prometheus.QueryError as error:
            return 400, {"status": "ERROR", "message": str(error), "details": {}}
        message = "Successfully queried the Prometheus API."
        return 200, {"status": "OK", "message": message, "details": {}}

    def query(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer ``/api/ds/query``: every query's ``expr``, instant or as a range."""
        results: dict[str, Any] = {}
        status = 200
        end = _time(str(request.get("to") or "now"))
        start = _time(str(request.get("from") or "now-1h"))
        for query in request.get("queries") or []:
            ref_id = str(query.get("refId") or "A")
            uid = str((query.get("datasource") or {}).get("uid") or "")
            source = self.source(uid)
            values = {"query": str(query.get("expr") or ""), "time": f"{end:.3f}"}
            path = "/api/v1/query"
            if query.get("range") or not query.get("instant", True):
                step = max(1.0, float(query.get("intervalMs") or 15000) / 1000)
                path = "/api/v1/query_range"
                values = {
                    "query": values["query"],
                    "start": f"{start:.3f}",
                    "end": f"{end:.3f}",
                    "step": f"{max(step, (end - start) / 11000):g}",
                }
            try:
                data = prometheus.api(source, self.source_secrets.get(uid, {}), path, values)
                results[ref_id] = {"status": 200, "frames": prometheus.frames(ref_id, data)}
            except prometheus.QueryError as error:
                status = 400
                results[ref_id] = {"status": 400, "error": str(error), "frames": []}
        return status, {"results": results}

    def frontend_settings(self) -> dict[str, Any]:
        """Answer ``/api/frontend/settings``, as far as a check of the configuration reads it."""
        sources = self.store.data_sources()
        default = next((s["name"] for s in sources if s["isDefault"]), "-- Grafana --")
        return {
            "appSubUrl": "",
            "appUrl": self.settings.get("server", "root_url"),
            "anonymousEnabled": self.settings.flag("auth.anonymous", "enabled"),
            "disableUserSignUp": not self.settings.flag("users", "allow_sign_up"),
            "newsFeedEnabled": self.settings.flag("news", "news_feed_enabled"),
            "reportingEnabled": self.settings.flag("analytics", "reporting_enabled"),
            "defaultDatasource": default,
            "datasources": {
                s["name"]: {k: s[k] for k in ("uid", "name", "type", "isDefault")} for s in sources
            },
            "buildInfo": {
                "version": self.version,
                "commit": COMMIT,
                "edition": "fake",
                "env": "test",
            },
        }


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _time(value: str) -> float:
    """Return Unix seconds of ``now``, ``now-1h`` or Unix milliseconds."""
    match = _DURATION.match(value)
    if match:
        amount, unit = match.groups()
        return time.time() - (int(amount) * _SECONDS[unit] if amount else 0)
    try:
        return float(value) / 1000
    except ValueError as error:
        raise ApiError(400, f"invalid time range: {value}") from error


def _page(title: str, body: str) -> bytes:
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{html.escape(title)} - fake</title>"
        "<style>body{font:16px sans-serif;margin:2em auto;max-width:60em}"
        "section{border:1px solid #999;padding:1em;margin:1em 0}</style>"
        "<p><strong>This is a fake: a stand-in for tests, not Grafana.</strong></p>"
        f"<h1>{html.escape(title)}</h1>{body}</html>"
    ).encode()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server_version = "fake"
    application: Application

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep successful requests out of the log, as the original does."""

    def do_GET(self) -> None:
        """Answer GET."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer HEAD."""
        self._answer()

    def do_POST(self) -> None:
        """Answer POST."""
        self._answer()

    def do_PUT(self) -> None:
        """Answer PUT."""
        self._answer()

    def do_DELETE(self) -> None:
        """Answer DELETE."""
        self._answer()

    def _answer(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(parts.path).rstrip("/") or "/"
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        try:
            if path.startswith("/api/"):
                self._api(path, parts.query, body)
            else:
                self._pages(path, body)
        except ApiError as error:
            answer = {
                "message": error.message,
                "messageId": error.message_id,
                "statusCode": error.status,
            }
            self._json(error.status, {**answer, "traceID": ""})
        except Exception as error:
            log.line("context", "error", "Request error", path=path, error=repr(error))
            self._json(500, {"message": "Internal Server Error", "statusCode": 500, "traceID": ""})

    def _send(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, status: int, answer: object, **headers: str) -> None:
        body = json.dumps(answer, ensure_ascii=False).encode()
        self._send(status, "application/json; charset=UTF-8", body, **headers)

    def _cookie(self) -> str:
        for part in self.headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == _COOKIE:
                return value
        return ""

    def _login(self, name: str, password: str) -> str:
        app = self.application
        protected = not app.settings.flag("security", "disable_brute_force_login_protection")
        user = app.store.login(name, password, protected=protected)
        if user is None:
            raise ApiError(401, "Invalid username or password", "password-auth.failed")
        return str(user["login"])

    def _identity(self) -> str:
        """Return the login of the caller; raise 401 without one."""
        app = self.application
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic" and app.settings.flag("auth.basic", "enabled"):
            try:
                name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise ApiError(400, "Invalid Basic Auth Header") from error
            return self._login(name, password)
        if self._cookie() in app.sessions:
            return app.sessions[self._cookie()]
        if app.settings.flag("auth.anonymous", "enabled"):
            return ""
        raise ApiError(401, "Unauthorized", "session.token.not-found" if self._cookie() else "")

    def _api(self, path: str, raw_query: str, body: bytes) -> None:
        app = self.application
        if path == "/api/health":
            self._json(200, app.health())
            return
        login = self._identity()
        query = {k: v[-1] for k, v in urllib.parse.parse_qs(raw_query).items()}
        simple = {
            "/api/org": lambda: {"id": 1, "name": "Main Org.", "address": {}},
            "/api/user": lambda: app.user(login),
            "/api/search": lambda: app.search(query),
            "/api/dashboards/home": app.home,
            "/api/datasources": lambda: [app.source_answer(s) for s in app.store.data_sources()],
            "/api/frontend/settings": app.frontend_settings,
            "/api/admin/settings": app.settings.masked,
        }
        if self.command in ("GET", "HEAD") and path in simple:
            self._json(200, simple[path]())
        elif self.command == "POST" and path == "/api/ds/query":
            self._json(*app.query(_object(body)))
        elif self.command == "POST" and path == "/api/dashboards/db":
            self._save_dashboard(_object(body))
        elif path.startswith("/api/dashboards/uid/"):
            self._dashboard(path.removeprefix("/api/dashboards/uid/"))
        elif path.startswith("/api/datasources/"):
            self._data_source(path.removeprefix("/api/datasources/"), raw_query, body)
        else:
            raise ApiError(404, "Not found")

    def _save_dashboard(self, request: dict[str, Any]) -> None:
        uid = str((request.get("dashboard") or {}).get("uid") or "")
        row = self.application.dashboard(uid)
        if row["provider"] not in self.application.editable_providers:
            raise ApiError(400, "Cannot save provisioned dashboard")
        raise ApiError(501, "the fake does not save dashboards")

    def _dashboard(self, uid: str) -> None:
        answer = self.application.dashboard_answer(uid)
        if self.command == "DELETE":
            raise ApiError(400, "provisioned dashboard cannot be deleted")
        self._json(200, answer)

    def _data_source(self, rest: str, raw_query: str, body: bytes) -> None:
        app = self.application
        proxy = re.fullmatch(r"proxy/uid/([^/]+)(/.*)", rest)
        if proxy:
            source = app.source(proxy[1])
            sent = body if self.command == "POST" else None
            try:
                answer = prometheus.fetch(
                    source, app.source_secrets.get(proxy[1], {}), proxy[2], raw_query, sent
                )
            except prometheus.QueryError as error:
                raise ApiError(502, f"Bad Gateway: {error}") from error
            self._send(*answer)
            return
        kind, _, rest = rest.partition("/")
        uid, _, rest = rest.partition("/")
        if kind == "name":
            named = [s for s in app.store.data_sources() if s["name"] == uid]
            uid = named[0]["uid"] if named else ""
        elif kind != "uid":
            raise ApiError(404, "Not found")
        source = app.source(uid)
        if rest == "health":
            self._json(*app.source_health(uid))
        elif rest:
            raise ApiError(404, "Not found")
        elif self.command in ("PUT", "DELETE"):
            if source["readOnly"]:
                verb = "update" if self.command == "PUT" else "delete"
                raise ApiError(403, f"Cannot {verb} read-only data source")
            raise ApiError(501, "the fake does not change data sources")
        else:
            self._json(200, app.source_answer(source))

    def _pages(self, path: str, body: bytes) -> None:
        app = self.application
        if path == "/login":
            self._login_page(body)
        elif path == "/logout":
            app.sessions.pop(self._cookie(), None)
            self._send(302, "text/html", b"", Location="/login")
        elif path == "/metrics" and app.settings.flag("metrics", "enabled"):
            text = (
                "# TYPE grafana_build_info gauge\n"
                f'grafana_build_info{{edition="fake",version="{app.version}"}} 1\n'
                "# TYPE grafana_stat_totals_dashboard gauge\n"
                f"grafana_stat_totals_dashboard {len(app.store.dashboards())}\n"
            )
            self._send(200, "text/plain; version=0.0.4; charset=utf-8", text.encode())
        elif path == "/" or path.startswith("/d/"):
            try:
                self._identity()
            except ApiError:
                target = urllib.parse.quote(path, safe="")
                self._send(302, "text/html", b"", Location=f"/login?redirectTo={target}")
                return
            self._dashboard_page(path)
        else:
            self._send(404, "text/html; charset=utf-8", _page("Page not found", ""))

    def _login_page(self, body: bytes) -> None:
        if self.command != "POST":
            form = (
                '<form method="post" action="/login">'
                '<p><label>Email or username <input name="user" autocomplete="username"></label>'
                '<p><label>Password <input name="password" type="password"></label>'
                '<p><button type="submit">Log in</button></form>'
            )
            self._send(200, "text/html; charset=utf-8", _page("Log in", form))
            return
        is_json = "json" in self.headers.get("Content-Type", "")
        if is_json:
            values = _object(body)
        else:
            values = {k: v[-1] for k, v in urllib.parse.parse_qs(body.decode()).items()}
        login = self._login(str(values.get("user") or ""), str(values.get("password") or ""))
        session = secrets.token_hex(16)
        self.application.sessions[session] = login
        cookie = f"{_COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax"
        if is_json:
            self._json(200, {"message": "Logged in", "redirectUrl": "/"}, Set_Cookie=cookie)
        else:
            self._send(302, "text/html", b"", Set_Cookie=cookie, Location="/")

    def _dashboard_page(self, path: str) -> None:
        app = self.application
        if path == "/":
            dashboard = app.home()["dashboard"]
        else:
            dashboard = app.dashboard(path.split("/")[2])["body"]
        links = "".join(
            f'<li><a href="/d/{html.escape(row["uid"])}">{html.escape(row["title"])}</a>'
            for row in app.store.dashboards()
        )
        panels = "".join(self._panel(panel) for panel in dashboard.get("panels") or [])
        title = str(dashboard.get("title") or "")
        self._send(200, "text/html; charset=utf-8", _page(title, f"{panels}<ul>{links}</ul>"))

    def _panel(self, panel: dict[str, Any]) -> str:
        """Show a panel's title and the present value of its first expression."""
        targets = panel.get("targets") or []
        text = ""
        if targets and panel.get("datasource"):
            query = {
                **targets[0],
                "datasource": panel["datasource"],
                "instant": True,
                "range": False,
            }
            try:
                _, answer = self.application.query({"queries": [query]})
                result = next(iter(answer["results"].values()))
                shown = [f"{frame['data']['values'][1][-1]:.2f}" for frame in result["frames"]]
                text = result.get("error") or ", ".join(shown) or "No data"
            except ApiError as error:
                text = error.message
        title = html.escape(str(panel.get("title") or ""))
        return f"<section><h2>{title}</h2><p>{html.escape(text)}</section>"


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise ApiError(400, "bad request data") from error
    if not isinstance(value, dict):
        raise ApiError(400, "bad request data")
    return value
