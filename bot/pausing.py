"""Pauses from the command line, beside whatever runs: an emergency must not wait for Slack."""

from typing import cast

from actions.killswitch import By, KillSwitch, Target
from actions.pause import MOST_BECAUSE, Kind, Trips
from actions.rule_file import read
from actions.team import Team
from bot.extending import catalogue_of, workflows_of
from bot.settings import Settings
from bot.switch import names_of, problem_with
from bot.up import running_stores
from core.clock import Clock
from core.db import Connection, DatabaseError, connect, is_untouched, open_database
from core.errors import CountersignError, Refused
from core.ids import RunId
from core.metrics import Metrics


async def pause(settings: Settings, clock: Clock, kind: str, name: str, *, because: str) -> str:
    """Pause this and say so; raises Refused where there is no such thing."""
    if (kind == "workspace") != (not name):
        raise Refused("Say what to pause: everything, or workflow, action or connector with its name.")
    workflows = [each.name for each in workflows_of(settings.company) if each.offered]
    problem = problem_with(kind, name, names_of(catalogue_of(settings.company), workflows))
    if problem:
        raise Refused(problem)
    # Only the team's file is read: a policy that cannot be used must not keep anybody from pausing.
    team = read(settings.company / "team.yml", Team).content
    async with running_stores(settings, clock) as stores:
        async with connect(stores.database_url):
            pass
        return await _pause(stores.database_url, team, Target(cast(Kind, kind), name), because[:MOST_BECAUSE])


async def _pause(url: str, team: Team, target: Target, because: str) -> str:
    async with open_database(url, min_size=1) as database:
        switch = KillSwitch(database, lambda: team, trips=Trips, wake=_wakes_nobody, metrics=Metrics())
        try:
            async with database.transaction() as conn:
                made = await switch.pause(conn, target, By("cli"), because)
        except DatabaseError as error:
            if not is_untouched(error):
                raise
            raise CountersignError(
                "Nothing was ever started on this database, so there is nothing to pause."
            ) from error
    if made is None:
        return "That is paused already; `countersign pauses` shows by whom. Nothing was changed."
    return f"{switch.sentence(made)}. An admin resumes in Slack."


async def trip_on_audit(settings: Settings, clock: Clock, workspace: str, because: str) -> None:
    """Pause everything of this workspace because its audit log was found broken."""
    team = Team.model_construct(workspace=workspace, people={})
    async with running_stores(settings, clock) as stores, open_database(stores.database_url, min_size=1) as database:
        switch = KillSwitch(database, lambda: team, trips=Trips, wake=_wakes_nobody, metrics=Metrics())
        await switch.trip_on_audit(because)


async def _wakes_nobody(run_id: RunId, conn: Connection) -> None:
    del run_id, conn
