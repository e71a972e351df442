"""Who is in a Slack user group, for those who know nothing of Slack; nobody, until Slack is there to be asked."""

from collections.abc import Collection
from typing import Protocol


class Directory(Protocol):
    """Tells who is in a user group."""

    async def members(self, group: str, *, fresh: bool = False) -> list[str] | None:
        """Their ids; None when the look-up failed."""
        ...


class Groups:
    """Answers through a directory once there is one."""

    def __init__(self) -> None:
        self._directory: Directory | None = None

    def ask(self, directory: Directory) -> None:
        """From now on, ask this directory."""
        self._directory = directory

    async def members(self, group: str, fresh: bool) -> Collection[str] | None:
        """The members of `group`, asked anew where `fresh`; None when that cannot be found out."""
        return None if self._directory is None else await self._directory.members(group, fresh=fresh)
