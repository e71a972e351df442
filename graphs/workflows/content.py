"""Content: a brief, an outline, a draft, what people say about it in the thread, and one post."""

from collections.abc import Mapping, Sequence
from typing import Any

from actions.catalogue.post_publish import Post, Published
from actions.intent import TrustLabel
from core.text import counted, quoted, visible
from graphs import briefs
from graphs.context import RunContext
from graphs.dialogue import Said
from graphs.drafting import (
    Brief,
    Draft,
    StyleRule,
    agrees,
    drops,
    findings,
    is_text,
    mended,
    read_brief,
    read_draft,
    rules_in,
    with_rules,
)
from graphs.plan import NoPlan, Plan, Step
from graphs.rounds import Rounds
from graphs.run import StepState
from graphs.spine import Ended, Facts, Walk, spine
from graphs.style import keep, of_playbook, stamped
from graphs.workflow import Workflow

#: How much of a draft is shown in the thread; the approval shows all of it.
_SHOWN = 2400
# No fact has a place of its own in it: whoever writes may put them in their own words.
_TEMPLATE = """Write a post for the web in Markdown; its first line is a heading with the title. Write what the brief
asks for, for its audience, along the outline, from its sources and nothing else. Keep every one of the rules in every
sentence. Where there is a previous draft, write it anew so that everything in the feedback is followed."""
_NEEDS = "Nobody here can write without a model, and I do not pretend to. A person or a model must write this."


async def gather(text: str, context: RunContext) -> Facts:
    """The brief, and the rules by which things are written here."""
    if not text.strip():
        raise NoPlan("There is no brief. Say what to write about: content <what, for whom, with which points>.")
    brief = read_brief(text)
    return {
        "brief": brief.model_dump(),
        "rules": [rule.model_dump() for rule in await of_playbook(context)],
        "draft": None,
        "round": 0,
        "heard": 0,
        "feedback": [],
        "told": [],
        "reasoned_by": "",
    }


async def make(facts: Facts, context: RunContext) -> Facts:
    """The next draft: what a model writes or a person pasted, with what code can mend, against every rule."""
    brief = Brief.model_validate(facts["brief"])
    facts = {**facts, "round": facts["round"] + 1}
    if not brief.is_enough:
        return facts
    await _claimed(brief, context)
    draft, by = await _drafted(facts, brief, context)
    if draft is None:
        return {**facts, "reasoned_by": by}
    rules = _rules(facts)
    draft, did = mended(draft, rules)
    broken = [f"“{quoted(rule.text, 120)}”: {quoted(said, 160)}" for rule, said in findings(draft, rules, stamped)]
    told = [*facts["told"], *(f"I put right: {quoted(each, 160)}." for each in did)]
    return {**facts, "draft": draft.model_dump(), "broken": broken, "told": told, "feedback": [], "reasoned_by": by}


async def _claimed(brief: Brief, context: RunContext) -> None:
    run = context.run
    if run.request.dry:
        return
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        holder = await briefs.claim(conn, run.request.workspace, brief.fingerprint, run.run_id)
    if holder is not None and holder.is_published:
        raise NoPlan(
            f"This brief is published already, by {holder.run_id}: {holder.url}. Change the brief, or undo it."
        )
    if holder is not None:
        raise NoPlan(f"{holder.run_id} has this very brief in hand. Go on in its thread, or stop it first.")


async def _drafted(facts: Facts, brief: Brief, context: RunContext) -> tuple[Draft | None, str]:
    """The text of this round and who thought: a model's, or the one that a person gave."""
    if facts.get("pasted"):
        return Draft.model_validate(facts["draft"]), "a person"
    thought = await context.reasoner.draft(_TEMPLATE, _material(facts, brief))
    known = Draft.model_validate(facts["draft"]) if facts["draft"] else None
    if thought.reasoner == "rules":
        return known, "rules"
    return read_draft(thought.value, title=brief.title, by=thought.reasoned_by) or known, thought.reasoned_by


def _material(facts: Facts, brief: Brief) -> Mapping[str, str]:
    """What whoever writes is given."""
    draft = Draft.model_validate(facts["draft"]) if facts["draft"] else None
    said = [each["text"] for each in facts["feedback"]]
    return {
        "title": brief.title or "one that says what the post gives",
        "brief": brief.text[:8000],
        "audience": brief.audience or "not said",
        "outline": "; ".join(brief.outline)[:2000],
        "sources": "; ".join(brief.sources)[:2000] or "none",
        "rules": "; ".join(rule.text for rule in _rules(facts))[:3000] or "none yet",
        "previous": draft.whole[:20_000] if draft else "none yet",
        "feedback": "\n".join(said)[:6000] or "nothing yet",
    }


def _rules(facts: Facts) -> list[StyleRule]:
    return [StyleRule.model_validate(rule) for rule in facts["rules"]]


def show(facts: Facts) -> str:
    """The draft of this round with what it keeps and breaks, or what somebody needs to write it."""
    brief = Brief.model_validate(facts["brief"])
    if not brief.is_enough:
        return (
            f"“{quoted(brief.text, 100)}” is too little to write from. Tell me here what the post is about, for whom,"
            " and with which points."
        )
    told = [*facts["told"]]
    if facts["draft"] is None:
        return "\n".join([*told, _NEEDS, *_assembled(facts, brief), "Paste the text here and I go on from there."])
    draft = Draft.model_validate(facts["draft"])
    text = "\n".join(map(visible, draft.whole.split("\n")))
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}\n… (the approval will show all of it)"
    return "\n".join([f"Draft {facts['round']} by {quoted(draft.by, 80)}:", cut, "", *told, *_kept(facts), _ASK])


_ASK = (
    "Say what to change (“only here: …” for this text alone), paste another text, or say `publish`; `drop it` ends it."
)


def _kept(facts: Facts) -> list[str]:
    broken, rules = facts.get("broken", []), facts["rules"]
    kept = f"Rules: {len(rules)} checked, {len(broken)} broken." if rules else "No rule of style is known here yet."
    return [kept, *(f"• broken: {each}" for each in broken[:10])]


def _assembled(facts: Facts, brief: Brief) -> list[str]:
    rules = [rule.text for rule in _rules(facts)]
    parts = {
        "Brief": brief.text,
        "For": brief.audience,
        "Outline": " · ".join(brief.outline),
        "Sources": " · ".join(brief.sources) or "none given",
        "Rules": " · ".join(rules) or "none known yet",
    }
    return [f"*{name}*: {quoted(value, 700)}" for name, value in parts.items() if value]


async def weigh(facts: Facts, said: Sequence[Said], context: RunContext) -> Facts:
    """The facts with everything people said since the last round, in the order in which they said it."""
    facts = {**facts, "told": [], "pasted": False}
    for each in said:
        if drops(each.text):
            raise NoPlan(f"Dropped, as {context.rules.team.name_of(each.person)} said. Nothing was published.")
        facts = await _weighed(facts, each, context)
    return facts


async def _weighed(facts: Facts, said: Said, context: RunContext) -> Facts:
    brief = Brief.model_validate(facts["brief"])
    if not brief.is_enough:
        return {**facts, "brief": read_brief(f"{brief.text}\n{said.text}").model_dump()}
    wants, anyway = agrees(said.text)
    if wants:
        return _agreed(facts, context.rules.team.name_of(said.person), anyway=anyway)
    facts = {**facts, "agreed": False}
    if is_text(said.text, has_draft=facts["draft"] is not None):
        draft = read_draft(said.text, title=brief.title, by=context.rules.team.name_of(said.person), is_a_persons=True)
        if draft is not None:
            return {**facts, "draft": draft.model_dump(), "pasted": True}
    rules, here = rules_in(said.text)
    if not here:
        await keep(context, said.person, rules)
    told = [f"{'For this text' if here else 'Kept for every later draft'}: {quoted(r.text, 160)}." for r in rules]
    return {
        **facts,
        "rules": [rule.model_dump() for rule in with_rules(_rules(facts), rules)],
        "feedback": [*facts["feedback"], {"person": said.person, "text": said.text}],
        "told": [*facts["told"], *told],
        # A person's own text is not written over by a model; what code can mend is mended in it.
        "pasted": facts["pasted"] or _is_a_persons(facts),
    }


def _is_a_persons(facts: Facts) -> bool:
    return facts["draft"] is not None and facts["draft"]["is_a_persons"]


def _agreed(facts: Facts, person: str, *, anyway: bool) -> Facts:
    if facts["draft"] is None:
        return {**facts, "told": [*facts["told"], "There is no text yet, so nothing can be published."]}
    if facts["pasted"] or facts["feedback"]:
        # What came in the same breath is neither checked nor seen by anybody yet.
        told = "What you said just before changes the text, so I show it first. Say `publish` once more."
        return {**facts, "told": [*facts["told"], told]}
    broken = facts.get("broken", [])
    if broken and not anyway:
        told = f"It still breaks {counted(len(broken), 'rule')}. Say what to change, or `publish anyway`."
        return {**facts, "pasted": True, "told": [*facts["told"], told]}
    return {**facts, "agreed": True, "agreed_by": person}


def about(facts: Facts) -> list[str]:
    """What the post is to be about, as the brief says it."""
    brief = Brief.model_validate(facts["brief"])
    return [brief.title, *brief.tags, *brief.points] if brief.title or brief.tags or brief.points else [brief.text]


async def plan(facts: Facts, context: RunContext) -> Plan:
    """The one post, exactly as it was agreed to."""
    brief = Brief.model_validate(facts["brief"])
    if facts["draft"] is None:
        raise NoPlan(f"{_NEEDS} Run it without --dry and paste the text in its thread.")
    draft = Draft.model_validate(facts["draft"])
    post = Post(
        slug=draft.slug, title=draft.title, body=draft.body, tags=brief.tags, summary=quoted(draft.opening, 200)
    )
    by = f"{facts['agreed_by']} agreed to draft {facts['round']}" if facts.get("agreed_by") else "the draft's title"
    step = Step(
        key="publish",
        action="post.publish",
        args=post.model_dump(mode="json"),
        origins={"slug": (TrustLabel.MEMBER, by)},
        evidence=[f"{by}, which {draft.by} wrote.", *(line.removeprefix("• ") for line in _kept(facts))],
    )
    return Plan(summary=f"Publish “{quoted(draft.title, 120)}”", steps=[step])


async def note(facts: Facts, results: Sequence[tuple[Step, Ended]], context: RunContext) -> str:
    """Whoever brings the same brief again is told where its post stands."""
    run, ((_, done),) = context.run, results
    fingerprint = Brief.model_validate(facts["brief"]).fingerprint
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        url = Published.model_validate(done.result).url
        await briefs.published(conn, run.request.workspace, fingerprint, run.run_id, url)
    return ""


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """Where the post stands, or why it does not."""
    ((step, ended),) = results
    done: Any = ended.result if ended.state is StepState.DONE else None
    if done is None:
        return f"“{quoted(step.args['title'], 120)}” is not published. {ended.text}"
    return f"“{quoted(step.args['title'], 120)}” is published: {Published.model_validate(done).url}"


CONTENT = Workflow(
    name="content",
    version=1,
    purpose="Turn a brief into a post: outline, draft, your feedback in the thread, and publishing once",
    usage="<what to write about>; Audience: …; Points: …; Sources: …",
    examples=(
        "write a blog post about our new kettle",
        "draft an article for the site",
        "we need a post on caring for wooden boards",
        "turn this brief into a text and publish it",
    ),
    needs=frozenset({"site"}),
    build=lambda: spine(
        Walk(
            gather=gather,
            plan=plan,
            about=about,
            report=report,
            actions=("post.publish", "message.post"),
            hand_over=note,
            rounds=Rounds(make=make, show=show, weigh=weigh),
        )
    ),
)
