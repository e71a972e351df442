"""Ask back: an approver asks whoever asked, the answer stands on the card, and the approval goes on waiting."""

from collections.abc import Callable
from dataclasses import dataclass

from actions.approval import Answer, Click, Standing
from actions.approvals import Approvals
from actions.circle import Groups
from actions.policy import Rules
from core import audit
from core.db import Connection, Database, Row
from core.ids import new_id
from core.outbox import Conversation, owe_post, refresh_cards

#: One approval is asked about so often, and not for ever.
MOST_QUESTIONS = 10


@dataclass(frozen=True)
class Reply:
    """What somebody wrote in a conversation."""

    conversation: Conversation
    person: str
    text: str
    delivery_id: str


class Questions:
    """Takes questions to whoever asked for the effect, and their answers to the card.

    `asked` words the question for the conversation (requester, asker, summary, question), `answered` tells the asker
    (asker, requester, summary).
    """

    def __init__(
        self,
        database: Database,
        approvals: Approvals,
        rules: Callable[[], Rules],
        *,
        asked: Callable[[str, str, str, str], str],
        answered: Callable[[str, str, str], str],
    ) -> None:
        self._database = database
        self._approvals = approvals
        self._rules = rules
        self._asked = asked
        self._answered = answered

    async def groups(self) -> Groups:
        """Who is in which group now, for `ask_in`; asked of Slack, so before its transaction begins."""
        return await self._approvals.groups()

    async def ask_in(self, conn: Connection, click: Click, standing: Standing | None, groups: Groups) -> Answer:
        """Put this person's question to the requester, in the conversation; refused as a decision would be."""
        if await _is_known(conn, click):
            return Answer(True, "Your question is asked.", "pending")
        refused = await self._approvals.refused(conn, click, standing, groups=groups)
        if refused is not None:
            return refused
        row = await _about(conn, click.approval_id)
        if not click.reason or row["asked"] >= MOST_QUESTIONS:
            text = "Nothing was asked: write a question, and no more than ten about one approval."
            return Answer(False, text, "pending", "no_question")
        await conn.execute(
            "insert into actions.question (question_id, approval_id, asked_by, question, delivery_id)"
            " values (%s, %s, %s, %s, %s)",
            (new_id("qst", 20), click.approval_id, click.user_id, click.reason, click.delivery_id),
        )
        said = self._asked(row["requester"], click.user_id, row["summary"], click.reason)
        await owe_post(conn, Conversation.from_json(row["conversation"]), text=said)
        await refresh_cards(conn, "approval", click.approval_id)
        await self._tell(conn, "approval.asked_back", click.user_id, row, click.reason)
        return Answer(True, f"Asked <@{row['requester']}>. The approval goes on waiting.", "pending")

    async def awaits(self, reply: Reply) -> bool:
        """True when somebody waits for this person's answer in this conversation."""
        async with self._database.connection() as conn:
            return bool(await _open_questions(conn, reply))

    async def answer_in(self, conn: Connection, reply: Reply) -> bool:
        """Put this person's words on the cards of what they were asked about; False when nobody asks any more."""
        found = await _open_questions(conn, reply)
        for row in found:
            await conn.execute(
                "update actions.question set answered_by = %s, answer = %s, answered_at = core.now(),"
                " answer_delivery_id = %s where question_id = %s and answer is null",
                (reply.person, reply.text, reply.delivery_id, row["question_id"]),
            )
        for approval_id in dict.fromkeys(row["approval_id"] for row in found):
            await refresh_cards(conn, "approval", approval_id)
        for row in found:
            told = self._answered(row["asked_by"], reply.person, row["summary"])
            await owe_post(conn, Conversation.from_json(row["conversation"]), text=told)
        for row in found:
            await self._tell(conn, "approval.answered_back", reply.person, row, reply.text)
        return bool(found)

    async def _tell(self, conn: Connection, event: str, person: str, row: Row, text: str) -> None:
        about = {name: row[name] for name in ("run_id", "step", "intent_id", "approval_id")}
        await audit.append(
            conn,
            row["workspace"],
            event,
            actor=audit.person(person),
            subject=about,
            detail={"text": text, "digest": row["digest"], "rules_version": self._rules().version},
        )


async def _is_known(conn: Connection, click: Click) -> bool:
    cursor = await conn.execute("select 1 from actions.question where delivery_id = %s", (click.delivery_id,))
    return await cursor.fetchone() is not None


async def _about(conn: Connection, approval_id: str) -> Row:
    cursor = await conn.execute(
        """
        select a.approval_id, a.digest, i.run_id, i.step, i.intent_id, i.workspace, i.requester, i.conversation,
               r.summary, (select count(*) from actions.question q where q.approval_id = a.approval_id) as asked
        from actions.approval a join actions.intent i using (intent_id)
        join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
        where a.approval_id = %s
        """,
        (approval_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def _open_questions(conn: Connection, reply: Reply) -> list[Row]:
    """What this person is asked in this conversation; one that its own card opens is known by that card's message."""
    cursor = await conn.execute(
        """
        select q.question_id, q.asked_by, a.approval_id, a.digest, i.run_id, i.step, i.intent_id, i.workspace,
               i.conversation, r.summary
        from actions.question q join actions.approval a using (approval_id) join actions.intent i using (intent_id)
        join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
        left join core.card c on c.card_id = i.conversation ->> 'root'
        where q.answer is null and a.state = 'pending' and i.workspace = %s and i.requester = %s
          and i.conversation ->> 'channel' = %s and coalesce(i.conversation ->> 'thread_ts', c.ts) = %s
        order by q.asked_at for update of q
        """,
        (
            reply.conversation.workspace,
            reply.person,
            reply.conversation.channel,
            reply.conversation.thread_ts,
        ),
    )
    return await cursor.fetchall()
