"""What the tests of roles share."""

from tests.unit.play_role import play_role

__all__ = ["play_role"]
