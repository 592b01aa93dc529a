#!/bin/sh
# Makes the server's own certificate for the address that it has here, and becomes pebble.
set -eu
address=$(hostname -i)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=pebble \
    -addext "subjectAltName=IP:$address" -keyout /run/pebble.key -out /run/pebble.pem 2>/dev/null
exec pebble -config /etc/pebble/config.json
