"""Batches as stored: formed once, shown as they were listed, and answered item by item where everything is answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from actions.action import Catalogue
from actions.approval import WORN_OUT, Answer, ApprovalView, Click, Standing
from actions.approvals import Approvals
from actions.batch import (
    FEWEST,
    FEWEST_STEPS,
    Answered,
    BatchView,
    Fits,
    Kind,
    Listed,
    alike,
    batchable,
    packed,
    why_alone,
)
from actions.intent import short
from actions.policy import Rules
from core import audit
from core.db import Connection, Database, Row
from core.ids import new_id
from core.outbox import Conversation, refresh_cards, show_card

#: What is asked in one go arrives within this; then it is listed together. What trickles in is not waited for longer.
SETTLED_SECONDS = 2.0
TRICKLE_SECONDS = 30.0

_WORN_OUT = "You have decided a great deal in the last hour, so read each of these on its own card."


@dataclass(frozen=True)
class _Found:
    """One approval that no card lists yet."""

    view: ApprovalView
    channel: str | None
    age: float


class Batches:
    """Offers several approvals on one card; each is decided by itself, by the digest that was listed.

    `fits` tells whether a card can show exactly these, whole.
    """

    def __init__(
        self,
        database: Database,
        approvals: Approvals,
        catalogue: Catalogue,
        rules: Callable[[], Rules],
        *,
        fits: Fits,
    ) -> None:
        self._database = database
        self._approvals = approvals
        self._catalogue = catalogue
        self._rules = rules
        self._fits = fits
        self._alone: tuple[frozenset[str], str] | None = None
        """What a look found to go together with nothing, however long it waited, and under which rules."""

    async def look(self) -> int:
        """Offer together what has come together, once, and owe every card whose items have changed a rendering."""
        formed = await self._form()
        await self._refresh()
        return formed

    async def view(self, batch_id: str) -> BatchView | None:
        """Everything that this batch's card shows, or None when there is no such batch."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select b.kind, b.run_id, i.approval_id, i.revision, i.digest16 from actions.batch b"
                " join actions.batch_item i using (batch_id) where batch_id = %s order by i.place",
                (batch_id,),
            )
            rows = await cursor.fetchall()
        found = await self._approvals.views([str(row["approval_id"]) for row in rows])
        by_id = {view.approval_id: view for view in found}
        items = [Listed(by_id[row["approval_id"]], row["revision"], row["digest16"]) for row in rows]
        return BatchView(batch_id, rows[0]["kind"], rows[0]["run_id"], items) if rows else None

    async def approve(self, batch_id: str, click: Click, standing: Standing | None) -> list[Answered] | None:
        """Let this press approve each listed item for itself, each in its own transaction; None for no such batch.

        The click's approval, revision and digest are taken from what was listed; its delivery names the press.
        """
        batch = await self.view(batch_id)
        if batch is None:
            return None
        return [Answered(each.view, await self._answer(batch.kind, each, click, standing)) for each in batch.items]

    async def _answer(self, kind: Kind, listed: Listed, click: Click, standing: Standing | None) -> Answer:
        view = listed.view
        alone = "" if kind == "plan" else why_alone(view, self._catalogue.get(view.action), self._rules().policy)
        if alone and listed.waits:
            return Answer(False, alone, view.state, "alone")
        # Its own delivery, so that a press handled again after a crash counts once for each item.
        own = replace(
            click,
            approval_id=view.approval_id,
            revision=listed.revision,
            digest16=listed.digest16,
            delivery_id=f"{click.delivery_id}/{view.approval_id}",
        )
        answer = await self._approvals.decide(own, standing)
        # Whoever has decided a great deal is asked once more about each, and not about all of them at once.
        return replace(answer, text=_WORN_OUT) if answer.refusal == WORN_OUT else answer

    async def renew(self, conn: Connection, batch_id: str) -> None:
        """Owe the batch's cards a rendering."""
        await refresh_cards(conn, "batch", batch_id)

    async def for_person(self, user_id: str) -> list[list[ApprovalView]]:
        """What waits for this person in threes or more of one kind, as much in each list as one card shows."""
        theirs = await self._approvals.waiting_for(user_id)
        groups = alike(batchable(theirs, self._catalogue, self._rules().policy))
        return [views for group in groups for views in packed(group, lambda some: self._fits("own", some), FEWEST)]

    async def offer(self, conn: Connection, user_id: str, views: Sequence[ApprovalView]) -> BatchView:
        """This list, stored as it is about to be shown to this person alone."""
        return await self._store(conn, "own", views, person=user_id)

    async def _form(self) -> int:
        async with self._database.connection() as conn:
            rows = await _unlisted(conn)
        known = frozenset(rows), self._rules().version
        if len(rows) < FEWEST_STEPS or known == self._alone:
            return 0
        views = await self._approvals.views(list(rows))
        async with self._database.transaction() as conn:
            # One at a time, and only what is still in no list: two bots look at the same moment.
            await conn.execute("select pg_advisory_xact_lock(hashtextextended('actions.batch', 0))")
            rows = await _unlisted(conn)
            found = [_found(view, rows[view.approval_id]) for view in views if view.approval_id in rows]
            formed = await self._plans(conn, found)
            listed = {each.view.approval_id for batch in formed for each in batch.items}
            formed += await self._batches(conn, [each for each in found if each.view.approval_id not in listed])
            for batch in formed:
                await self._tell(conn, batch)
        # Looked at every second, what waits for days would otherwise be read every second.
        waited = all(row["age"] >= TRICKLE_SECONDS for row in rows.values())
        self._alone = known if waited and not formed else None
        return len(formed)

    async def _plans(self, conn: Connection, found: Sequence[_Found]) -> list[BatchView]:
        runs: dict[str, list[_Found]] = {}
        for each in found:
            runs.setdefault(each.view.run_id, []).append(each)
        planned = await _planned(conn, list(runs))
        formed: list[BatchView] = []
        for run_id, steps in runs.items():
            # What a run asks later, it asks alone.
            if run_id in planned or len(steps) < FEWEST_STEPS or not _has_settled(steps):
                continue
            for views in packed([each.view for each in steps], lambda some: self._fits("plan", some), FEWEST_STEPS):
                batch = await self._store(conn, "plan", views, run_id=run_id)
                formed.append(batch)
                await _show(conn, batch, views[0].conversation, steps[0].channel)
        return formed

    async def _batches(self, conn: Connection, found: Sequence[_Found]) -> list[BatchView]:
        by_id, formed = {each.view.approval_id: each for each in found}, list[BatchView]()
        channels = dict.fromkeys(each.channel for each in found if each.channel)
        for channel in channels:
            there = [each.view for each in found if each.channel == channel]
            for group in alike(batchable(there, self._catalogue, self._rules().policy)):
                if len(group) < FEWEST or not _has_settled([by_id[view.approval_id] for view in group]):
                    continue
                for views in packed(group, lambda some: self._fits("batch", some), FEWEST):
                    batch = await self._store(conn, "batch", views)
                    formed.append(batch)
                    await _show(conn, batch, Conversation(views[0].workspace, channel), None)
        return formed

    async def _store(
        self,
        conn: Connection,
        kind: Kind,
        views: Sequence[ApprovalView],
        *,
        run_id: str | None = None,
        person: str | None = None,
    ) -> BatchView:
        batch_id = new_id("bat", 20)
        await conn.execute(
            "insert into actions.batch (batch_id, kind, workspace, run_id, person, shown)"
            " values (%s, %s, %s, %s, %s, %s)",
            (batch_id, kind, views[0].workspace, run_id, person, None if kind == "own" else ""),
        )
        items = [Listed(view, view.revision, short(view.digest)) for view in views]
        for place, each in enumerate(items, 1):
            await conn.execute(
                "insert into actions.batch_item (batch_id, place, approval_id, revision, digest16, public)"
                " values (%s, %s, %s, %s, %s, %s)",
                (batch_id, place, each.view.approval_id, each.revision, each.digest16, kind != "own"),
            )
        return BatchView(batch_id, kind, run_id, items)

    async def _tell(self, conn: Connection, batch: BatchView) -> None:
        subject: dict[str, Any] = {"batch_id": batch.batch_id, **({"run_id": batch.run_id} if batch.run_id else {})}
        listed = [{"approval_id": each.view.approval_id, "digest": each.view.digest} for each in batch.items]
        detail = {"kind": batch.kind, "listed": listed, "rules_version": self._rules().version}
        workspace = batch.items[0].view.workspace
        await audit.append(conn, workspace, "approval.listed", actor=audit.CODE, subject=subject, detail=detail)

    async def _refresh(self) -> None:
        """Each card once its items stand otherwise than when it was last owed: two of them are locked in one order."""
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                """
                update actions.batch b set shown = case when now.over then null else now.stands end
                from (select i.batch_id,
                             string_agg(concat_ws(' ', a.state, n.state, n.outcome, v.votes), ';'
                                        order by i.place) as stands,
                             bool_and(a.state <> 'pending' and (a.state <> 'approved'
                                      or n.state in ('done', 'failed', 'refused', 'cancelled'))) as over
                      from actions.batch_item i
                      join actions.batch b using (batch_id)
                      join actions.approval a using (approval_id)
                      join actions.intent n using (intent_id)
                      cross join lateral (select count(*) as votes from actions.vote
                                          where approval_id = a.approval_id) as v
                      where b.shown is not null
                      group by i.batch_id) as now
                where b.batch_id = now.batch_id and b.shown is distinct from now.stands
                returning b.batch_id
                """
            )
            for batch_id in sorted(str(row["batch_id"]) for row in await cursor.fetchall()):
                await refresh_cards(conn, "batch", batch_id)


async def _unlisted(conn: Connection) -> dict[str, Row]:
    """What waits and stands on no card with others, by its id."""
    cursor = await conn.execute(
        """
        select a.approval_id, a.decision ->> 'approvals_channel' as channel,
               extract(epoch from core.now() - a.asked_at)::float as age
        from actions.approval a
        where a.state = 'pending' and a.expires_at > core.now()
          and not exists (select from actions.batch_item i where i.approval_id = a.approval_id and i.public)
        """
    )
    return {row["approval_id"]: row for row in await cursor.fetchall()}


def _found(view: ApprovalView, row: Row) -> _Found:
    return _Found(view, row["channel"], row["age"])


async def _planned(conn: Connection, run_ids: list[str]) -> set[str]:
    cursor = await conn.execute("select run_id from actions.batch where kind = 'plan' and run_id = any(%s)", (run_ids,))
    return {str(row["run_id"]) for row in await cursor.fetchall()}


def _has_settled(group: Sequence[_Found]) -> bool:
    ages = [each.age for each in group]
    return min(ages) >= SETTLED_SECONDS or max(ages) >= TRICKLE_SECONDS


async def _show(conn: Connection, batch: BatchView, where: Conversation, also: str | None) -> None:
    await show_card(conn, "batch", batch.batch_id, where)
    if also and also != where.channel:
        await show_card(conn, "batch", batch.batch_id, Conversation(where.workspace, also))
