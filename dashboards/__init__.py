"""Grafana's dashboards as code: `python -m dashboards` writes roles/grafana/files/dashboards."""
