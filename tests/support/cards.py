"""Builders of what cards show, and the checks every message must pass before anybody sees it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from actions.approval import ApprovalView
from bot.channel import Message
from bot.local.workspace.blocks_check import check_blocks, check_view
from bot.slack.blocks import limits
from core.ids import RunId
from core.outbox import Conversation
from graphs.run import Request, Run, RunState, StepState, StepView

ASKED_AT = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4


def approval_view(**changes: Any) -> ApprovalView:
    """A pending approval of a refund, with some fields changed."""
    view = ApprovalView(
        approval_id="apr_0123456789abcdefghjkmnpqrs",
        run_id="run_0123456789",
        step="refund",
        revision=1,
        digest=DIGEST,
        state="pending",
        workspace="T0LOCAL",
        workflow="returns",
        action="payment.refund",
        effect="irreversible",
        sandbox=True,
        connector="payments",
        account="sandbox",
        summary="Refund 389.00 USD for #W1002",
        fields=[("order id", "#W1002"), ("amount", "389.00 USD"), ("payment method", "credit_card_7")],
        evidence=["Order #W1002 was delivered", "The rulebook allows it: items-delivered"],
        reasons=["389.00 USD is above the 200.00 USD that runs alone."],
        rule="refund-above-limit",
        who="an approver of tier 2 or higher",
        eligible=["U0CLEO"],
        told=("U0CLEO",),
        quorum=1,
        votes=[],
        requester="U0RITA",
        conversation=Conversation("T0LOCAL", "C0RETURNS", "1.000100"),
        asked_at=ASKED_AT,
        expires_at=ASKED_AT + timedelta(hours=24),
        decided_at=None,
        decided_by=None,
        reason="",
        outcome="",
        outcome_state="awaiting",
    )
    return replace(view, **changes)


def step_view(**changes: Any) -> StepView:
    """One planned step, with some fields changed."""
    step = StepView(
        key="refund",
        action="payment.refund",
        summary="Refund 389.00 USD for #W1002",
        effect="irreversible",
        verdict="require_approval",
        who="an approver of tier 2 or higher",
        state=StepState.PLANNED,
    )
    return step.model_copy(update=changes)


def run_with(**changes: Any) -> Run:
    """A run of returns with one step, with some fields changed."""
    run = Run(
        run_id=RunId("run_0123456789"),
        workflow="returns",
        workflow_version=1,
        state=RunState.READY,
        epoch=1,
        wakes=1,
        stalls=0,
        stop_requested=False,
        request=Request(
            workspace="T0LOCAL",
            requester="U0RITA",
            origin="command",
            workflow="returns",
            text="#W1002 the headphones, broken",
            delivery_id="command:1.2.x",
        ),
        conversation=Conversation("T0LOCAL", "C0RETURNS"),
        steps=[step_view()],
        plan_summary="One refund to the original payment method",
        waiting=[],
        outcome="",
        reasoned_by="rules",
        created_at=ASKED_AT,
        sandbox=True,
        predicted="no history yet",
    )
    return replace(run, **changes)


def faults_of(message: Message) -> list[str]:
    """What our own checker and the local workspace's, which knows nothing of ours, find wrong with a message."""
    return [*limits.violations(message), *check_blocks(message.blocks or [], "message")]


def modal_faults(view: Mapping[str, Any]) -> list[str]:
    """What both checkers find wrong with a modal."""
    return [*limits.modal_violations(view), *check_view(dict(view))]


def stands_whole(value: str, text: str) -> bool:
    """True when every line of `value` stands in `text`, visible."""
    return all(limits.visible(line) in text for line in value.replace("\r\n", "\n").split("\n"))


def texts(value: Any) -> Iterator[str]:
    """Every text a person would read in blocks or in a view, as Slack stores it."""
    if isinstance(value, Mapping):
        piece = cast(Mapping[str, Any], value)
        found = piece.get("text")
        if isinstance(found, str):
            yield found
        for inner in piece.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in cast(list[Any], value):
            yield from texts(inner)


def shown(message: Message) -> str:
    """Everything that the blocks of a message say, read in order."""
    return "".join(texts(message.blocks or []))


def buttons(message: Message) -> dict[str, dict[str, Any]]:
    """The buttons of a message by their action ids."""
    rows = [block for block in message.blocks or [] if block["type"] == "actions"]
    return {element["action_id"]: element for row in rows for element in row["elements"]}


#: What Slack would act on in a text that it reads as mrkdwn.
ACTIVE = re.compile(r"<[!@#][^>]*>|<https?:[^>]*>|<mailto:[^>]*>")


def active_marks(message: Message) -> list[str]:
    """Every mention, link and date that Slack would make something of, in the order it stands."""
    return [mark for text in _mrkdwn(message) for mark in ACTIVE.findall(text)]


def _mrkdwn(message: Message) -> Iterator[str]:
    yield message.text
    for block in message.blocks or []:
        for holder in [block, block.get("text"), *block.get("elements", [])]:
            if isinstance(holder, dict) and holder.get("type") == "mrkdwn":
                yield holder["text"]
