"""How gunicorn serves the application: one process with threads, for 160 MB and one processor."""

from webapp.config import THREADS

bind = "0.0.0.0:5000"
worker_class = "gthread"
workers = 1
threads = THREADS
# One copy of the code in memory: the worker shares the pages of the process it is forked from.
preload_app = True
# The worker's heartbeat file; memory, since the root file system is read-only.
worker_tmp_dir = "/dev/shm"  # noqa: S108 (tmpfs of the container, nobody else is in it)
timeout = 30
# Requests under way are answered within this; Apache gives a graceful stop as long.
graceful_timeout = 10
# Longer than Apache keeps an idle connection (ttl=30): Apache closes first.
keepalive = 75
# Requests are in Apache's log, with the number that errors carry here.
accesslog = None
# What the server itself says, in the form of the application's log.
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "webapp.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
    },
}
control_socket_disable = True
