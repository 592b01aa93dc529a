import os

import mysql.connector
from flask import Flask

app = Flask(__name__)
VERSION = "1"


def connect():
    return mysql.connector.connect(
        host=os.environ["MYSQL_HOST"],
        user=os.environ["MYSQL_USER"],
        password=os.environ["MYSQL_PASSWORD"],
        database=os.environ["MYSQL_DATABASE"],
    )


@app.route("/")
def index():
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT nombre, precio FROM productos ORDER BY id")
        filas = "".join(f"<li>{nombre}: {precio}</li>" for nombre, precio in cursor.fetchall())
    connection.close()
    return f"<h1>Tienda, versión {VERSION}</h1><ul>{filas}</ul>"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
