#!/bin/sh
# The course document's steps as one shell script, typed on a bare host: the web application by Docker Compose, Prometheus, Node Exporter
# and Grafana. Neither waits, nor checks, nor can it be run again. tests.bench.site times it beside site.yml, on the same upstreams.
# Variables: REGISTRY_MIRROR (empty: Docker Hub), RELEASES, PROMETHEUS, NODE_EXPORTER (versions), GRAFANA_APT, GRAFANA_KEY.
# Standard input: the application's directory as a gzipped tar.
set -eu
mkdir app && tar -xz -C app
export DEBIAN_FRONTEND=noninteractive

apt-get update -qq
if apt-cache show docker-compose-v2 >/dev/null 2>&1; then compose=docker-compose-v2; else compose='docker-cli docker-compose docker-buildx'; fi
if [ -n "$REGISTRY_MIRROR" ]; then
    mkdir -p /etc/docker
    printf '{"registry-mirrors": ["%s"], "insecure-registries": ["%s"]}\n' "$REGISTRY_MIRROR" "${REGISTRY_MIRROR#http://}" \
        >/etc/docker/daemon.json
fi
# shellcheck disable=SC2086 # several packages
apt-get install -qq -y --no-install-recommends docker.io $compose curl openssl
(cd app && ./init-secrets.sh && docker compose up -d --build --quiet-pull)

useradd --system --no-create-home --shell /usr/sbin/nologin prometheus
mkdir -p /etc/prometheus /var/lib/prometheus
fetch() {
    curl -fsSL "$RELEASES/prometheus/$1/releases/download/v$2/$1-$2.linux-amd64.tar.gz" | tar -xz
}
fetch prometheus "$PROMETHEUS"
cp "prometheus-$PROMETHEUS.linux-amd64/prometheus" "prometheus-$PROMETHEUS.linux-amd64/promtool" /usr/local/bin/
cat >/etc/prometheus/prometheus.yml <<'YAML'
global:
  scrape_interval: 5s
rule_files: [rules.yml]
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ["localhost:9090"]}]
  - job_name: node
    static_configs: [{targets: ["localhost:9100"]}]
YAML
cat >/etc/prometheus/rules.yml <<'YAML'
groups:
  - name: cpu
    rules:
      - alert: HighCPUUsage
        expr: 100 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m])) * 100 > 80
        for: 1m
YAML
chown -R prometheus: /etc/prometheus /var/lib/prometheus
unit() {
    printf '[Unit]\nAfter=network-online.target\n[Service]\nUser=prometheus\nExecStart=%s\n[Install]\nWantedBy=multi-user.target\n' "$2" \
        >"/etc/systemd/system/$1.service"
}
unit prometheus '/usr/local/bin/prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/var/lib/prometheus'
fetch node_exporter "$NODE_EXPORTER"
cp "node_exporter-$NODE_EXPORTER.linux-amd64/node_exporter" /usr/local/bin/
unit node_exporter /usr/local/bin/node_exporter
systemctl daemon-reload
systemctl enable -q --now prometheus node_exporter

mkdir -p /etc/apt/keyrings
curl -fsSL -o /etc/apt/keyrings/grafana.asc "$GRAFANA_KEY"
echo "deb [signed-by=/etc/apt/keyrings/grafana.asc] $GRAFANA_APT stable main" >/etc/apt/sources.list.d/grafana.list
apt-get update -qq
apt-get install -qq -y --no-install-recommends grafana
systemctl enable -q --now grafana-server
