"""Inbox: what each mail is about, a drafted answer that a person sends, filing, and returns handed on."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from actions.catalogue.mail_send import NewMail
from actions.catalogue.mailbox_file import Filing
from actions.intent import TrustLabel
from actions.mailbox import MAILBOX, Mail, Mailbox
from actions.records import Customer, Order
from core.text import counted, quoted
from graphs.context import RunContext
from graphs.handing_over import Began, Errand
from graphs.lessons import taught
from graphs.mail_kinds import EXAMPLES, KINDS, ORDER, RETURN, UNKNOWN, Kind, telling
from graphs.past_cases import note_case
from graphs.plan import NoPlan, Plan, Step
from graphs.return_words import ReturnAsk
from graphs.run import StepState
from graphs.spine import Ended, Facts, Walk, spine
from graphs.workflow import Workflow
from graphs.workflows.returns import endorsement, what_is_asked

#: How many mails are looked at in one sweep, and how many of them it begins.
MOST_LOOKED_AT = 200
SWEEP = 20
#: How often one mail is begun anew when people ask for it.
MOST_TRIES = 5
_PIECES = {"return": "exactly which items", "order": "what you would like to know"}

_STATUS = """Hello $name,

thank you for your mail. Your order $order ($items) is $status at present.

Kind regards
Customer support"""
_WHICH_ORDER = """Hello,

thank you for your mail. So that we can help, please answer from the address with which you ordered, and tell us \
the number of your order (it looks like #W1001) and $what.

Kind regards
Customer support"""


async def gather(text: str, context: RunContext) -> Facts:
    """One mail as read, or, for a sweep or a person's wish, the runs that take each mail on: one for each, ever."""
    if not context.sources.has(MAILBOX) or context.hand_over is None:
        raise NoPlan("This installation reads no mailbox. Add one to connectors.yml and start again.")
    mailbox, said = context.sources.get(MAILBOX), text.strip()
    if said.casefold() in {"", "sweep"}:
        return {"answer": await _sweep(context, mailbox)}
    mail = await mailbox.mail(said)
    if mail is None:
        raise NoPlan(f"The mailbox has no mail {quoted(said, 200)}. Run `inbox sweep` to see what has arrived.")
    if not context.run.request.delivery_id.startswith("mail:"):
        return {"answer": await _asked_for(context, mail)}
    return await _read(context, await _own(context, mailbox, mail))


async def _own(context: RunContext, mailbox: Mailbox, found: Mail) -> Mail:
    """The very mail that this run was begun for: another sender may have used its Message-ID since."""
    for mail in (found, *await mailbox.unread(MOST_LOOKED_AT)):
        if context.run.request.delivery_id.startswith(f"{delivery_of(context, mail)}:"):
            return mail
    raise NoPlan(f"Another mail came under the id of this one, {_brief(found)}. Please read both in the mailbox.")


def delivery_of(context: RunContext, mail: Mail) -> str:
    """Names this mail among all deliveries: with its content, for a sender may use one Message-ID twice."""
    return f"mail:{context.run.request.workspace}:{mail.fingerprint}"


async def _sweep(context: RunContext, mailbox: Mailbox) -> str:
    mails = await mailbox.unread(MOST_LOOKED_AT)
    begun: list[Mail] = []
    held = 0
    for mail in mails:
        if len(begun) == SWEEP:
            break
        if await _begun(context, mail, 1) is not None:
            held += 1
        elif context.run.request.dry or await _begin(context, mail, 1):
            begun.append(mail)
    lines = [f"• {_brief(mail)}" for mail in begun]
    verb = "would be begun" if context.run.request.dry else "begun, each in a thread of its own"
    lead = f"{counted(len(begun), 'new mail')} {verb}" if begun else "No new mail"
    left = len(mails) - held - len(begun)
    more = [f"Begun before and still in the inbox: {held}."] if held else []
    more += [f"Left for the next sweep: {left}."] if left else []
    return "\n".join([f"{lead}.", *lines, *more])


async def _asked_for(context: RunContext, mail: Mail) -> str:
    """Begin this mail because somebody asks, unless it is in hand or something of it was done already."""
    for number in range(1, MOST_TRIES + 1):
        found = await _begun(context, mail, number)
        if found is None:
            if context.run.request.dry:
                return f"{_brief(mail)}: would be begun."
            if await _begin(context, mail, number):
                return f"{_brief(mail)}: begun, in a thread of its own."
        elif found.goes_on:
            return f"{_brief(mail)} is in hand: {found.run_id}. A mail is handled once."
        elif found.touched:
            return f"{_brief(mail)} was handled by {found.run_id} ({found.state}). A mail is handled once."
    return f"{_brief(mail)} was tried {MOST_TRIES} times to no end. Somebody must answer it by hand."


async def _begun(context: RunContext, mail: Mail, number: int) -> Began | None:
    assert context.hand_over is not None
    async with context.database.connection() as conn:
        return await context.hand_over.begun(conn, f"{delivery_of(context, mail)}:{number}")


async def _begin(context: RunContext, mail: Mail, number: int) -> bool:
    assert context.hand_over is not None
    errand = Errand("inbox", mail.message_id, f"{delivery_of(context, mail)}:{number}", own_thread=True)
    async with context.database.transaction() as conn:
        await context.guard.may_start(conn)
        return await context.hand_over.start(conn, context.run, errand) is not None


def _brief(mail: Mail) -> str:
    return f"“{quoted(mail.subject, 80) or 'no subject'}” from {quoted(mail.from_address, 80) or 'an unknown sender'}"


async def _read(context: RunContext, mail: Mail) -> Facts:
    """What the mail is about, which order it names, and whether its sender is the one on that order."""
    words, lessons = telling(mail), await taught(context, "inbox")
    thought = await context.reasoner.classify(lessons.explained(words), lessons.joined(EXAMPLES))
    kind = KINDS.get(thought.value or "", UNKNOWN)
    await note_case(context, kind.name)
    order: Order | None = None
    customer: Customer | None = None
    if kind.does == "act":
        order, customer = await _records_of(context, (await what_is_asked(words, context)).value)
    link = endorsement(mail, order, customer) if order and customer else None
    gist = await context.reasoner.summarise([mail.text], sentences=2)
    return {
        "mail": mail.model_dump(mode="json"),
        "kind": kind.name,
        "certain": thought.certain,
        "note": thought.note,
        "order": order.model_dump(mode="json") if order else None,
        "customer": customer.model_dump(mode="json") if customer else None,
        "link": link,
        "gist": gist.value,
        "reasoned_by": thought.reasoned_by,
    }


async def _records_of(context: RunContext, ask: ReturnAsk | None) -> tuple[Order | None, Customer | None]:
    if ask is None or not ask.order_id:
        return None, None
    named = ask.order_id.strip().upper()
    order = await context.records.order(named if named.startswith("#") else f"#{named}")
    return order, await context.records.customer(order.customer_id) if order else None


def kind_of(facts: Facts) -> Kind:
    """What is done about the mail: what could not be read is not acted on, nor left unread on a model's word alone."""
    kind = KINDS.get(facts["kind"], UNKNOWN)
    is_a_guess = kind.does == "none" and not facts["certain"]
    return UNKNOWN if is_a_guess or (facts["mail"]["problems"] and kind.does == "act") else kind


def about(facts: Facts) -> list[str]:
    """The sender, and the order and customer where the mail names one."""
    order, customer = facts["order"], facts["customer"]
    named = [*([order["order_id"]] if order else []), *([customer["name"]] if customer else [])]
    return [facts["mail"]["from_address"], *named]


async def plan(facts: Facts, context: RunContext) -> Plan:
    """An answer where one can be drafted, then the filing; each waits or runs as policy says."""
    mail, kind = Mail.model_validate(facts["mail"]), kind_of(facts)
    handed = kind.name == RETURN and facts["order"] is not None
    steps = [await _answer(mail, facts, context)] if kind.does == "act" and not handed else []
    folder = kind.folder if handed or kind.name != RETURN else "Answered"
    steps.append(_filing(mail, folder))
    return Plan(summary=f"{_brief(mail)}: {kind.means}", steps=steps, notes=_notes(mail, facts))


def _notes(mail: Mail, facts: Facts) -> list[str]:
    notes = [f"What I could not do: {problem}." for problem in mail.problems]
    if facts["kind"] in {RETURN, ORDER} and mail.problems:
        notes.append("So I did not act on it: please read it in the mailbox.")
    if facts["order"] is not None and facts["link"] is None:
        notes.append("The sender is not known to be the one on that order, so its details stay with you.")
    return notes


async def _answer(mail: Mail, facts: Facts, context: RunContext) -> Step:
    if not mail.from_address:
        raise NoPlan(f"{_brief(mail)} says no address to answer to. Please read it in the mailbox.")
    # Of an order nothing is told but to the address on it.
    if facts["link"] and facts["kind"] == ORDER:
        order, customer = Order.model_validate(facts["order"]), Customer.model_validate(facts["customer"])
        items = ", ".join(dict.fromkeys(line.name for line in order.items))
        told = {"name": customer.name, "order": order.order_id, "items": items, "status": order.status}
        thought = await context.reasoner.draft(_STATUS, told)
    else:
        thought = await context.reasoner.draft(_WHICH_ORDER, {"what": _PIECES[facts["kind"]]})
    subject = mail.subject if mail.subject.casefold().startswith("re:") else f"Re: {mail.subject}"
    try:
        args = NewMail(
            to=mail.from_address,
            subject="".join(letter for letter in subject if letter.isprintable())[:300],
            text=thought.value[:20_000],
            in_reply_to=mail.message_id,
            references=[*mail.references, mail.message_id][-20:],
        )
    except ValidationError as error:
        raise NoPlan(f"{_brief(mail)} cannot be answered as it is addressed. Please read it in the mailbox.") from error
    return Step(
        key="answer",
        action="mail.send",
        args=args.model_dump(mode="json"),
        group="mail",
        origins={"to": (TrustLabel.EXTERNAL, facts["link"])},
        evidence=[
            f"It answers {_brief(mail)}, which says: {_gist(facts)}",
            f"Drafted by {thought.reasoned_by}.",
        ],
    )


def _filing(mail: Mail, folder: str) -> Step:
    args = Filing(message_id=mail.message_id, folder=folder)
    own: dict[str, tuple[TrustLabel, str | None]] = {"message_id": (TrustLabel.OPERATOR, "a mail of our own mailbox")}
    return Step(key="file", action="mailbox.file", args=args.model_dump(), group="mail", origins=own)


async def hand_over(facts: Facts, results: Sequence[tuple[Step, Ended]], context: RunContext) -> str:
    """A return whose order is known is the returns workflow's, in the same thread, once."""
    del results
    mail = Mail.model_validate(facts["mail"])
    if kind_of(facts).name != RETURN or facts["order"] is None or context.hand_over is None:
        return ""
    if not context.hand_over.knows("returns"):
        return "Nobody here handles returns: please answer it by hand."
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        errand = Errand("returns", f"mail {mail.message_id}", f"{context.run.run_id}.returns")
        await context.hand_over.start(conn, context.run, errand)
    return "Handed on to returns, in this thread."


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """What the mail is about, what was done, and what people must still do."""
    mail, kind = Mail.model_validate(facts["mail"]), kind_of(facts)
    lines = [f"{_brief(mail)}: {kind.means}."]
    if kind.does == "notify":
        lines.append(f"Somebody should read it{_why(facts, kind)}. It says: {_gist(facts) or 'nothing I can read'}")
    lines += [line for step, ended in results if (line := _line(step, ended))]
    return "\n".join(lines)


def _why(facts: Facts, kind: Kind) -> str:
    guess = KINDS.get(facts["kind"], UNKNOWN)
    if kind is not guess and guess.does == "none":
        return f" (only a model takes it for {guess.means})"
    return f" ({quoted(facts['note'], 200)})" if kind is UNKNOWN and facts["note"] else ""


def _gist(facts: Facts) -> str:
    return quoted(" ".join(facts["gist"].split()), 500)


def _line(step: Step, ended: Ended) -> str:
    done: Any = ended.result if ended.state is StepState.DONE else None
    if step.action == "mail.send":
        sent = f"Answered {step.args['to']}."
        return sent if done else f"No answer went out, and the mail stays in the inbox. {ended.text}"
    if ended.state is StepState.SKIPPED:
        return ""
    return f"Filed under {done['folder']}." if done else f"Not filed. {ended.text}"


INBOX = Workflow(
    name="inbox",
    version=1,
    purpose="Read the mailbox: draft answers, file what needs none, hand returns on, and tell people of the rest",
    usage="sweep  |  <Message-ID of one mail>",
    examples=(
        "look through the mailbox",
        "is there new mail",
        "answer the mails that came in",
        "sort the inbox",
        "triage our mail",
    ),
    needs=frozenset({"mailbox", "mail"}),
    build=lambda: spine(
        Walk(
            gather=gather,
            plan=plan,
            about=about,
            report=report,
            actions=("mail.send", "mailbox.file", "message.post"),
            hand_over=hand_over,
        )
    ),
)
