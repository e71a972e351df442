"""A run acts in a teammate's name: what no teammate may do there is not done, whatever the rules say of it."""

from dataclasses import replace

from actions.outcome import Caller
from actions.policy import Decision, Verdict
from actions.rule import ANY_APPROVER
from actions.team import Team

TEAMMATE = "built-in:teammate"
#: Taking back is the framework's own workflow: it acts for whoever did what is taken back.
_OWN = frozenset({"undo"})
#: A budget that was reached asks for itself, whoever's work reached it.
_OF_THE_RUN = frozenset({"budget.raise"})


def in_its_name(decision: Decision, team: Team, caller: Caller, action: str) -> Decision:
    """The decision as it stands for the teammate that runs this; its approvers answer where the rule names nobody."""
    if caller.is_compensation or caller.workflow in _OWN or action in _OF_THE_RUN:
        return decision
    mate = team.teammate(caller.workflow, caller.conversation.channel)
    if mate is None:
        why = f"No teammate runs {caller.workflow} here ({TEAMMATE}). An admin can say so in team.yml."
        return _denied(decision, why)
    if not mate.may_ask_for(action):
        why = f"{mate.name} may not ask for {action} ({TEAMMATE}). An admin can allow it in team.yml."
        return _denied(decision, why)
    if decision.verdict is not Verdict.REQUIRE_APPROVAL:
        return decision
    usual = mate.approvers if decision.approvers is ANY_APPROVER else None
    return replace(
        decision,
        approvers=usual or decision.approvers,
        approvals_channel=mate.approvals_channel or decision.approvals_channel,
    )


def _denied(decision: Decision, reason: str) -> Decision:
    return replace(
        decision,
        verdict=Verdict.DENY,
        rules=(TEAMMATE,),
        reasons=(reason, *decision.reasons),
        approvers=None,
        approvals_channel=None,
    )
