"""Settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from webapp.config import MigrationSettings, Settings, SettingsError

NAMES = (
    "webapp_db_password",
    "webapp_secret_key",
    "webapp_db_migration_password",
    "webapp_admin_password",
)


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with all secrets, named in the environment."""
    for name in NAMES:
        (tmp_path / name).write_text(f"value of {name}\n")
    monkeypatch.setenv("WEBAPP_SECRETS_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("secrets")
def test_secrets_come_from_files_and_are_not_shown() -> None:
    settings = Settings.from_environment()
    assert settings.secret_key == "value of webapp_secret_key"
    assert (settings.database_host, settings.database_port) == ("mysql", 3306)
    assert "value of" not in repr(settings)


@pytest.mark.usefixtures("secrets")
def test_the_migration_has_secrets_of_its_own() -> None:
    settings = MigrationSettings.from_environment()
    assert settings.database_user == "webapp_migration"
    assert settings.database_password == "value of webapp_db_migration_password"
    assert settings.admin_password == "value of webapp_admin_password"
    assert "value of" not in repr(settings)


def test_each_needs_no_secret_of_the_other(secrets: Path) -> None:
    for name in ("webapp_db_migration_password", "webapp_admin_password"):
        (secrets / name).rename(secrets / f"{name}.away")
    Settings.from_environment()
    with pytest.raises(SettingsError, match="webapp_db_migration_password"):
        MigrationSettings.from_environment()


@pytest.mark.parametrize("content", [None, "", "\n", b"\xff"])
def test_an_unusable_secret_is_named(secrets: Path, content: str | bytes | None) -> None:
    path = secrets / "webapp_secret_key"
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsError, match="webapp_secret_key"):
        Settings.from_environment()


@pytest.mark.usefixtures("secrets")
def test_a_port_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL_PORT", "mysql")
    with pytest.raises(SettingsError, match="MYSQL_PORT"):
        Settings.from_environment()


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("given", ["soon", "-1", "1.5", "³"])
def test_days_are_a_number(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBAPP_AUDIT_DAYS", given)
    with pytest.raises(SettingsError, match=r"WEBAPP_AUDIT_DAYS is .*for example 365"):
        Settings.from_environment()
    monkeypatch.setenv("WEBAPP_AUDIT_DAYS", "0")
    assert Settings.from_environment().audit_days == 0
