#!/bin/sh
# Both servers write a line a request to the container's log: that is how requests are counted.
set -eu
docker-registry serve /etc/docker/registry/config.yml &
exec python3 -u -m http.server --directory /srv 8080
