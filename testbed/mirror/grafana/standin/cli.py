"""The command line: ``grafana server``, ``grafana cli admin reset-admin-password``, ``-v``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .api import COMMIT
from .config import ConfigError, Settings
from .server import run
from .store import Store, StoreError


def _version() -> str:
    """Return the version that the package was built with, marked as the fake's."""
    try:
        text = (Path(__file__).parents[2] / "VERSION").read_text(encoding="ascii")
    except OSError:
        return "0.0.0+fake"
    return text.strip() + "+fake"


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--homepath", type=Path, default=Path.cwd())
    parser.add_argument("--config", type=Path)
    parser.add_argument("--configOverrides", dest="overrides", default="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="grafana", description="fake stand-in, not Grafana")
    parser.add_argument("-v", "--version", action="store_true")
    commands = parser.add_subparsers(dest="command")
    server = commands.add_parser("server")
    _options(server)
    server.add_argument("-v", "--version", action="store_true")
    server.add_argument("--pidfile", type=Path)
    server.add_argument("--packaging")
    server.add_argument("arguments", nargs="*")
    cli = commands.add_parser("cli")
    _options(cli)
    admin = cli.add_subparsers(dest="area", required=True).add_parser("admin")
    reset = admin.add_subparsers(dest="action", required=True).add_parser("reset-admin-password")
    reset.add_argument("--password-from-stdin", action="store_true")
    reset.add_argument("--user-id", type=int, default=1)
    reset.add_argument("password", nargs="?", default="")
    return parser


def _reset_password(settings: Settings, options: argparse.Namespace) -> int:
    password = options.password
    if options.password_from_stdin:
        print("New Password: ", end="")
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        store = Store(settings.database)
        store.set_password(options.user_id, password)
        store.close()
    except StoreError as error:
        print(f"Error: ✗ {error}", file=sys.stderr)
        return 1
    print("\nAdmin password changed successfully ✔")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    version = _version()
    if getattr(options, "version", False):
        print(f"Version {version} (commit: {COMMIT}, branch: fake)")
        return 0
    if options.command is None:
        parser.print_usage(sys.stderr)
        return 2
    overrides = options.overrides.split() + list(getattr(options, "arguments", []))
    try:
        settings = Settings(options.homepath, options.config, overrides)
    except ConfigError as error:
        print(f"Error: ✗ {error}", file=sys.stderr)
        return 1
    if options.command == "cli":
        return _reset_password(settings, options)
    return run(settings, version, options.pidfile)
