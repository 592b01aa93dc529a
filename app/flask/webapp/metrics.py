"""Prometheus's metrics of the application, at /metrics, for the host alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.wsgi import ClosingIterator

from webapp import db

blueprint = Blueprint("metrics", __name__)

ROUTE = "webapp.route"
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Seconds. Most answers take some milliseconds; a login a hash of 30.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Start = Callable[..., Any]
Environment = dict[str, Any]
Wsgi = Callable[[Environment, Start], Iterable[bytes]]


class Measured:
    """The application, with a count and a time of each request. Threads of one process share it."""

    def __init__(self, application: Wsgi, registry: CollectorRegistry) -> None:
        """Make the metrics.

        Args:
            application: what answers.
            registry: where the metrics go.
        """
        self._application = application
        self._requests = Counter(
            "http_requests", "Answered requests.", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request.",
            ("route",),
            buckets=BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "http_requests_in_flight", "Requests being answered.", registry=registry
        )

    def __call__(self, environ: Environment, start_response: Start) -> Iterable[bytes]:
        """Answer, and measure until the last byte is given to the server."""
        began = time.perf_counter()
        status = "500"

        def start(line: str, *rest: Any) -> Any:
            nonlocal status
            status = line[:3]
            return start_response(line, *rest)

        def done() -> None:
            self._in_flight.dec()
            route = environ.get(ROUTE, UNMATCHED)
            method = environ.get("REQUEST_METHOD", "")
            # Anybody may send any word as a method; each would be a series of its own.
            self._requests.labels(route, method if method in METHODS else "other", status).inc()
            self._seconds.labels(route).observe(time.perf_counter() - began)

        self._in_flight.inc()
        try:
            return ClosingIterator(self._application(environ, start), [done])
        except BaseException:
            done()
            raise


def init_app(app: Flask) -> None:
    """Measure the application; to be called last, so that everything is inside."""
    registry = CollectorRegistry()
    app.extensions["metrics"] = registry
    in_use = Gauge("db_pool_in_use", "Connections to MySQL that a request uses.", registry=registry)
    in_use.set_function(lambda: db.pool_use(app)[0])
    size = Gauge("db_pool_size", "The most connections to MySQL.", registry=registry)
    size.set_function(lambda: db.pool_use(app)[1])
    # Flask's documented way to wrap an application, which its type hints take for a method.
    app.wsgi_app = Measured(app.wsgi_app, registry)  # type: ignore[method-assign]

    @app.before_request
    def remember_route() -> None:
        if request.url_rule:
            request.environ[ROUTE] = request.url_rule.rule


@blueprint.get("/metrics")
def metrics() -> Response:
    """Tell Prometheus, which asks on the host's loopback; nobody who comes through Apache."""
    if "X-Forwarded-For" in request.headers:
        abort(404)
    return Response(
        generate_latest(current_app.extensions["metrics"]), content_type=CONTENT_TYPE_LATEST
    )
