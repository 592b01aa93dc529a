"""Backups of a host: its databases, secrets, Grafana and volumes, in a restic repository."""
