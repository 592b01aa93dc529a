"""The web application: pages and an API for users and products.

`create_app` is the only thing that is imported from outside.
"""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import db, errors, health, logs, pages
from webapp.api import products, users
from webapp.config import Settings
from webapp.web import IdConverter, JsonProvider

# Larger than any request of the API, and as large as Apache lets through (httpd.conf): Apache is
# the first to refuse, and this holds for whoever comes to Flask by itself.
MAX_BODY_BYTES = 64 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application.

    Args:
        settings: where the database is and the secrets; by default from the environment and
            /run/secrets.

    Returns:
        The application. It opens no connection yet: MySQL may be started later, or again.

    Raises:
        webapp.config.SettingsError: a secret is missing, empty or unreadable.
    """
    settings = settings or Settings.from_environment()
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        # Style and icon carry the release in their address, so browsers may keep them for a year.
        SEND_FILE_MAX_AGE_DEFAULT=365 * 24 * 3600,
    )
    app.extensions["settings"] = settings
    app.json = JsonProvider(app)
    app.url_map.converters["id"] = IdConverter
    # Exactly one proxy, Apache, stands in front; more would let a client choose its own address.
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=1, x_proto=1, x_host=1
    )

    @app.context_processor
    def release() -> dict[str, str]:
        return {"release": settings.release}

    logs.init_app(app)
    errors.init_app(app)
    db.init_app(app, settings)
    for blueprint in (pages.blueprint, users.blueprint, products.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    return app
