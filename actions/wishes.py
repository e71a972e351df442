"""Turns what a run asks for into a wish: validated and resolved, before any row is touched."""

from collections.abc import Mapping
from dataclasses import replace

from pydantic import BaseModel

from actions import store
from actions.action import Catalogue
from actions.connector import Connector
from actions.intent import IntentKey, Origin, Record
from actions.outcome import Caller, Declined, Wish


class Wishes:
    """Knows every registered action and the connectors that carry them."""

    def __init__(self, catalogue: Catalogue, connectors: Mapping[str, Connector]) -> None:
        self.catalogue = catalogue
        self._connectors = connectors

    def only_pretends(self, name: str) -> bool:
        """True when this action reaches a sandbox and nothing else."""
        action = self.catalogue.get(name)
        connector = None if action is None else self._connectors.get(action.connector)
        return connector is not None and connector.sandbox

    def region_of(self, name: str) -> str | None:
        """Where this action's connector says that data goes; None where it does not say."""
        action = self.catalogue.get(name)
        connector = None if action is None else self._connectors.get(action.connector)
        return getattr(connector, "region", None)

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
        action = self.catalogue.get(name)
        if action is None:
            return Declined("denied", f"Nobody registered an action called {name}, so it cannot run.")
        connector = self._connectors.get(action.connector)
        if connector is None:
            return Declined("denied", f"{name} needs the connector {action.connector}, which is not configured here.")
        plain = args.model_dump(mode="json")
        typed = action.parse(plain)
        record = Record(action.name, action.version, connector.account, typed.model_dump(mode="json"), caller.requester)
        revision = store.NewRevision(record, record.digest(), action.summarise(record.args), origins, evidence or [])
        return Wish(action, connector, caller, IntentKey(caller.run_id, step), revision)

    def of_stored(self, stored: store.StoredIntent, caller: Caller) -> Wish | None:
        """The wish as it stands in the ledger, in this caller's hands; None where nothing here can carry it."""
        intent = stored.intent
        action = self.catalogue.get(intent.record.action)
        connector = None if action is None else self._connectors.get(action.connector)
        if action is None or connector is None:
            return None
        revision = store.NewRevision(intent.record, intent.digest, intent.summary, stored.origins, [])
        return Wish(action, connector, caller, intent.key, revision)

    def about_newest(self, wish: Wish, stored: store.StoredIntent) -> Wish:
        """Asked with an earlier revision's arguments, what would be sent are the newest ones."""
        intent = stored.intent
        revision = store.NewRevision(intent.record, intent.digest, intent.summary, stored.origins, [])
        return replace(wish, revision=revision)
