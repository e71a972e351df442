"""Turns what a run asks for into a wish: validated, resolved and judged by policy, before any row is touched."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from actions import store
from actions.action import AnyAction, Catalogue
from actions.connector import Connector
from actions.intent import IntentKey, Origin, Record
from actions.outcome import Caller, Declined, Wish
from actions.policy import Considered, Rules, decide
from core.metrics import Metrics


class Wishes:
    """Knows every registered action, the connectors that carry them and the rules in force."""

    def __init__(
        self,
        catalogue: Catalogue,
        connectors: Mapping[str, Connector],
        rules: Callable[[], Rules],
        metrics: Metrics,
    ) -> None:
        self._catalogue = catalogue
        self._connectors = connectors
        self._rules = rules
        self._metrics = metrics

    def only_pretends(self, name: str) -> bool:
        """True when this action reaches a sandbox and nothing else."""
        action = self._catalogue.get(name)
        connector = None if action is None else self._connectors.get(action.connector)
        return connector is not None and connector.sandbox

    def make(
        self,
        name: str,
        args: BaseModel,
        *,
        step: str,
        caller: Caller,
        origins: Mapping[str, Origin] | None = None,
        evidence: list[str] | None = None,
    ) -> Wish | Declined:
        """The wish to perform action `name` with these arguments, or why nobody can perform it here."""
        origins = origins or {}
        action = self._catalogue.get(name)
        if action is None:
            return Declined("denied", f"Nobody registered an action called {name}, so it cannot run.")
        connector = self._connectors.get(action.connector)
        if connector is None:
            return Declined("denied", f"{name} needs the connector {action.connector}, which is not configured here.")
        plain = args.model_dump(mode="json")
        typed = action.parse(plain)
        record = Record(action.name, action.version, connector.account, typed.model_dump(mode="json"), caller.requester)
        rules = self._rules()
        decision = decide(
            rules.policy, self._considered(action, connector, caller, plain, origins=origins), rules.version
        )
        self._metrics.decisions.labels(action.name, decision.verdict).inc()
        revision = store.NewRevision(record, record.digest(), action.summarise(record.args), origins, evidence or [])
        return Wish(action, connector, caller, IntentKey(caller.run_id, step), revision, decision)

    def _considered(
        self,
        action: AnyAction,
        connector: Connector,
        caller: Caller,
        args: Mapping[str, Any],
        *,
        origins: Mapping[str, Origin],
    ) -> Considered:
        member = self._rules().team.member(caller.requester)
        return Considered(
            action=action.name,
            effect=action.effect,
            connector=connector.name,
            sandbox=connector.sandbox,
            workflow=caller.workflow,
            requester_roles=member.roles if member else frozenset(),
            amount=action.amount_of(args),
            unendorsed=tuple(name for name in action.guarded if name not in origins or not origins[name].is_trusted),
        )

    def about_newest(self, wish: Wish, stored: store.StoredIntent) -> Wish:
        """Asked with an earlier revision's arguments, policy still judges what would be sent: the newest ones."""
        rules, intent = self._rules(), stored.intent
        considered = self._considered(
            wish.action, wish.connector, wish.caller, intent.record.args, origins=stored.origins
        )
        decision = decide(rules.policy, considered, rules.version)
        revision = store.NewRevision(intent.record, intent.digest, intent.summary, stored.origins, [])
        return replace(wish, revision=revision, decision=decision)
