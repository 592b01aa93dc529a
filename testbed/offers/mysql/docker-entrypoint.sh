#!/bin/bash
# What the official image's documentation says of a first start: MYSQL_ROOT_PASSWORD, MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD,
# each also as a file (…_FILE), and /docker-entrypoint-initdb.d.
set -euo pipefail

value() { # value NAME: the variable's value, or that of the file that NAME_FILE names
    local file="${1}_FILE"
    if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!1:-}"; fi
}

# text VALUE: as text in SQL
text() { printf "'%s'" "$(printf %s "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g")"; }

data=/var/lib/mysql socket=/var/run/mysqld/mysqld.sock
[ "${1:0:1}" != - ] || set -- mysqld "$@"
[ "$1" = mysqld ] || exec "$@"

if [ ! -d $data/mysql ]; then
    root=$(value MYSQL_ROOT_PASSWORD) database=$(value MYSQL_DATABASE) user=$(value MYSQL_USER) password=$(value MYSQL_PASSWORD)
    [ -n "$root" ] || { echo >&2 "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified"; exit 1; }
    chown mysql:mysql $data
    "$@" --user=mysql --initialize-insecure
    "$@" --user=mysql --skip-networking --socket=$socket &
    server=$!
    until mysqladmin --user=root --socket=$socket ping --silent 2>/dev/null; do
        kill -0 $server
        sleep 0.2
    done
    {
        echo "CREATE USER 'root'@'%' IDENTIFIED BY $(text "$root"); GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
        [ -z "$database" ] || echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
        if [ -n "$user" ]; then
            echo "CREATE USER $(text "$user")@'%' IDENTIFIED BY $(text "$password");"
            [ -z "$database" ] || echo "GRANT ALL ON \`$database\`.* TO $(text "$user")@'%';"
        fi
        echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(text "$root");"
    } | mysql --user=root --socket=$socket
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ -e "$script" ] || continue
        MYSQL_PWD=$root mysql --user=root --socket=$socket ${database:+"$database"} <"$script"
    done
    kill $server
    wait $server || true
fi
exec "$@" --user=mysql
