"""The application as a first version is often served: a new connection to MySQL for each request.

Mounted into the container beside the application, and served by gunicorn's sync workers.
"""

from sqlalchemy import NullPool, create_engine
from webapp import create_app

app = create_app()
pooled = app.extensions["engine"]
# The listener that connects is the pooled engine's own: without its pool, all else is the same.
app.extensions["engine"] = create_engine(pooled.url, poolclass=NullPool)
