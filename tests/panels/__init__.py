"""The dashboards' panels as people see them, drawn by Grafana's own components."""
