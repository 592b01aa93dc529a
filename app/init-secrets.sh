#!/bin/sh
# Makes what `docker compose up` needs and a repository must not hold: random secrets in secrets/ and a self-signed
# certificate in tls/. What exists already is kept, so it can be run again at any time.
set -eu
cd "$(dirname "$0")"
umask 077

# Only the owner gets into the directories; inside, the files are readable by all, because each container reads them
# as a user of its own.
mkdir -p secrets tls/own tls/trusted
chmod 0700 secrets tls
# Mounted by themselves: a container gets to them without passing tls/.
chmod 0755 tls/own tls/trusted
# Where earlier releases had them.
for name in cert.pem key.pem; do
  if [ -e "tls/$name" ] && [ ! -e "tls/own/$name" ]; then mv "tls/$name" "tls/own/$name"; fi
done

for name in webapp_db_password webapp_db_migration_password webapp_db_root_password webapp_db_exporter_password \
  webapp_secret_key webapp_admin_password; do
  if [ ! -s "secrets/$name" ]; then
    # 32 of 62 characters: 190 bits.
    LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32 >"secrets/.$name"
    chmod 0444 "secrets/.$name"
    mv -f "secrets/.$name" "secrets/$name"
    echo "made secrets/$name"
  fi
done

if [ ! -s tls/own/cert.pem ] || [ ! -s tls/own/key.pem ]; then
  if ! command -v openssl >/dev/null; then
    echo 'openssl is missing, so tls/own/cert.pem and tls/own/key.pem cannot be made: install it and run this again.' >&2
    exit 1
  fi
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout tls/own/.key.pem -out tls/own/.cert.pem 2>/dev/null
  chmod 0444 tls/own/.key.pem tls/own/.cert.pem
  mv -f tls/own/.key.pem tls/own/key.pem
  mv -f tls/own/.cert.pem tls/own/cert.pem
  echo 'made tls/own/cert.pem and tls/own/key.pem for localhost, valid for a year'
fi
