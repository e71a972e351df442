"""Turns what a run asks for into a wish: validated and resolved, before any row is touched."""

from collections.abc import Mapping
from dataclasses import replace

from pydantic import BaseModel

from actions import store
from actions.action import ArgumentsInvalid, Catalogue
from actions.connector import Connector
from actions.intent import IntentKey, Origin, Record, RecordInvalid
from actions.outcome import Caller, Declined, Wish


class Wishes:
    """Knows every registered action and the connectors that carry them."""

    def __init__(
        self, catalogue: Catalogue, connectors: Mapping[str, Connector], missing: Mapping[str, str] | None = None
    ) -> None:
        """`missing` has the connectors that are not there for want of a secret, with that secret's name."""
        self.catalogue = catalogue
        self._connectors = connectors
        self._missing = dict(missing or {})

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
            return Declined("denied", f"{name} cannot run here: {self._why_absent(action.connector)}")
        try:
            typed = action.parse(args.model_dump(mode="json"))
            plain = typed.model_dump(mode="json")
            record = Record(action.name, action.version, connector.account, plain, caller.requester)
            revision = store.NewRevision(record, record.digest(), action.summarise(plain), origins, evidence or [])
        except (ArgumentsInvalid, RecordInvalid) as error:
            return Declined("denied", str(error))
        return Wish(action, connector, caller, IntentKey(caller.run_id, step), revision)

    def _why_absent(self, connector: str) -> str:
        secret = self._missing.get(connector)
        if secret is None:
            return f"it goes through {connector}, which is not set up. Add it to connectors.yml and start again."
        return f"it goes through {connector}, whose secret {secret} is missing. Provide it and start again."

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
