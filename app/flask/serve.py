"""How the application is served: granian, one process with threads, for 160 MB and one processor.

A small process watches the one that serves; when that ends, so does the container, and Docker
starts it again. Why granian: docs/adr/0015-granian.md.
"""

import json
import logging
from datetime import UTC, datetime

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

# As many as connections to MySQL (webapp.config.THREADS). Not imported from there: the process that
# watches would load the whole application.
THREADS = 8
# Seconds in which requests under way are answered when the server is told to stop; Apache gives a
# graceful stop as long.
DRAIN = 10
# Milliseconds after which an idle connection is closed. Longer than Apache keeps one (ttl=30):
# Apache closes first, and never sends a request on a connection that is about to be closed.
IDLE = 60_000


class JsonFormatter(logging.Formatter):
    """What the server itself says, in the form of the application's log (webapp.logs)."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time,
            "level": record.levelname,
            "logger": "granian",
            "message": record.getMessage(),
        }
        return json.dumps(line, ensure_ascii=False)


def serve(
    target: str = "webapp:create_app",
    address: str = "0.0.0.0",  # noqa: S104 - Apache asks from another container; no port of this one is published
    port: int = 5000,
) -> None:
    """Serve an application until a signal ends it.

    Args:
        target: module and factory of the application.
        address: where it listens.
        port: where it listens.
    """
    Granian(
        target,
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE),
        websockets=False,
        workers=1,
        blocking_threads=THREADS,
        workers_kill_timeout=DRAIN,
        # Requests are in Apache's log, with the number that errors carry in the application's.
        log_access=False,
        # Not its warning at each start that there are more threads than processors.
        log_level=LogLevels.error,
        log_dictconfig={
            "formatters": {name: {"()": "serve.JsonFormatter"} for name in ("generic", "access")}
        },
    ).serve()


if __name__ == "__main__":
    serve()
