"""Says hello."""

from flask import Flask

app = Flask(__name__)
VERSION = "1"


@app.route("/")
def index():
    return f"<h1>Hola, versión {VERSION}</h1>"
