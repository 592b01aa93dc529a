"""The web application: pages and an API for users and products.

`create_app` is the only thing that is imported from outside.
"""

from __future__ import annotations

from flask import Flask, Response, g
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import accounts, auth, db, errors, exchange, health, i18n, logs, metrics, pages, profile
from webapp.api import openapi
from webapp.api.resources import COLLECTIONS
from webapp.config import Settings
from webapp.web import MAX_BODY_BYTES, IdConverter, JsonProvider, bound_body


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
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
        # Style and icon carry the release in their address, so browsers may keep them for a year.
        SEND_FILE_MAX_AGE_DEFAULT=365 * 24 * 3600,
    )
    app.extensions["settings"] = settings
    app.json = JsonProvider(app)
    app.url_map.converters["id"] = IdConverter
    # Exactly one proxy, Apache, stands in front; more would let a client choose its own address.
    # Flask's documented way to wrap an application, which its type hints take for a method.
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=1, x_proto=1, x_host=1
    )

    @app.context_processor
    def shared() -> dict[str, object]:
        return {"release": settings.release, "user": g.get("user")}

    @app.after_request
    def keep_nothing(response: Response) -> Response:
        # Whatever says nothing else is made for one reader and one moment.
        if not response.cache_control:
            response.cache_control.no_store = True
        return response

    logs.init_app(app)
    app.before_request(bound_body)
    errors.init_app(app)
    db.init_app(app, settings)
    i18n.init_app(app, settings.translations)
    accounts.init_app(app)
    auth.init_app(app)
    for collection in COLLECTIONS:
        app.register_blueprint(collection.blueprint())
    for module in (pages, profile, exchange, openapi, health, metrics):
        app.register_blueprint(module.blueprint)
    health.init_app(app)
    metrics.init_app(app)
    return app
