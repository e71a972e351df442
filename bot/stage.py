"""The local workspace and the sandbox, each as a process of its own: the stage on which a newcomer tries things."""

import asyncio
import signal

from actions.rule_file import read
from actions.team import Member, Team
from bot.company import MANIFEST, SAMPLE
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.local.workspace.server import WorkspaceOptions, open_workspace
from bot.sample.mail import seed_mail
from bot.sample.shop import seed_sample
from bot.sample.watched import seed_watched
from bot.settings import Settings
from core.clock import Clock


async def serve_workspace(settings: Settings, clock: Clock) -> None:
    """Run the local workspace until told to stop."""
    team = read(settings.company / "team.yml", Team).content
    options = WorkspaceOptions(
        port=settings.port,
        database=settings.home.resolve() / "workspace.db",
        manifest=MANIFEST,
        company=SAMPLE / "workspace.yml",
        roles={user_id: _roles_in_words(member) for user_id, member in team.people.items()},
        clock=clock,
    )
    async with open_workspace(options):
        await _until_told()


def _roles_in_words(member: Member) -> list[str]:
    tier = f" (tier {member.tier})" if member.tier else ""
    return [f"{role}{tier if role == 'approver' else ''}" for role in sorted(member.roles)]


async def serve_sandbox(settings: Settings, clock: Clock) -> None:
    """Run the sandbox until told to stop, with the sample shop and its week of mail where there is none yet."""
    home = settings.home.resolve()
    await asyncio.to_thread(seed_sample, home, clock=clock)
    await asyncio.to_thread(seed_mail, home)
    await asyncio.to_thread(seed_watched, home)
    async with open_sandbox(SandboxOptions(port=settings.sandbox_port, home=home, clock=clock)):
        await _until_told()


async def _until_told() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
