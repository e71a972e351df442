"""The playbook as stored: each rule once per scope, in force only by a person's word, its text under their key."""

import json
from collections.abc import Iterable, Sequence

from core import audit
from core.db import Connection, Database, Row, jsonb
from core.ids import new_id
from core.outbox import Conversation, refresh_cards, show_card
from core.subjects import Vault
from core.trust import TrustLabel
from memory.item import ItemId, Scope, ScopeId, ScopeKind, Tier
from memory.playbook import CHECKS, Kind, Rule, State, Wish
from memory.store import ABOUT, EVERYWHERE, INDEX, Derived, Store, fence

#: The card on which a suggested rule is confirmed.
CARD = "rule"


class StoredPlaybook:
    """The rules of all scopes."""

    def __init__(self, database: Database, store: Store, vault: Vault) -> None:
        self._database = database
        self._store = store
        self._vault = vault

    async def rules_for(self, scopes: Sequence[Scope], kind: Kind = "style") -> list[Rule]:
        """The rules of this kind that are in force in these scopes, oldest first."""
        return await self.listed(scopes, kinds=[kind], states=["active"])

    async def listed(
        self, scopes: Sequence[Scope], *, kinds: Iterable[Kind] = ("style", "practice"), states: Iterable[State]
    ) -> list[Rule]:
        """The rules of these kinds and states in these scopes, oldest first; one whose key is gone is left out."""
        async with self._database.transaction() as conn:
            return await self.listed_in(conn, scopes, kinds=kinds, states=states)

    async def listed_in(
        self,
        conn: Connection,
        scopes: Sequence[Scope],
        *,
        kinds: Iterable[Kind] = ("style", "practice"),
        states: Iterable[State],
    ) -> list[Rule]:
        """As `listed`, in the caller's transaction: one that has made a scope would wait for itself elsewhere."""
        ids = {await self._store.scope_of(conn, scope): scope for scope in scopes}
        await fence(conn, ids)
        cursor = await conn.execute(
            """
            select * from memory.rule where scope_id = any(%s) and kind = any(%s) and state = any(%s)
            order by said_at, rule_id
            """,
            (list(ids), list(kinds), list(states)),
        )
        found = [await self._rule(conn, ids[row["scope_id"]], row) for row in await cursor.fetchall()]
        return [rule for rule in found if rule is not None]

    async def rule(self, rule_id: str) -> Rule | None:
        """One rule, for its card; None where there is none, or its key is gone."""
        async with self._database.transaction() as conn:
            return await self.rule_in(conn, rule_id)

    async def rule_in(self, conn: Connection, rule_id: str) -> Rule | None:
        """As `rule`, in the caller's transaction, held until its end."""
        await fence(conn, EVERYWHERE)
        cursor = await conn.execute(
            """
            select rule.*, scope.workspace, scope.kind as scope_kind, scope.name
            from memory.rule rule join memory.scope scope using (scope_id) where rule_id = %s for update of rule
            """,
            (rule_id,),
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        return await self._rule(conn, Scope(row["workspace"], ScopeKind(row["scope_kind"]), row["name"]), row)

    async def remember(self, conn: Connection, wish: Wish) -> Rule:
        """Put this rule in force by the word of whoever says it; the same rule said again is the one there was."""
        kept = await self._keep(conn, wish, "active")
        if kept is None:
            raise AssertionError("a rule just kept is there")
        return kept

    async def suggest(self, conn: Connection, wish: Wish, *, at: Conversation | None = None) -> Rule | None:
        """Keep this as a suggestion, with a card where `at` is given; None where it is known, or was dropped before.

        A lesson is said by a person each time, so one that was dropped is a suggestion again.
        """
        rule = await self._keep(conn, wish, "suggested")
        if rule is not None and at is not None:
            await show_card(conn, CARD, rule.rule_id, at)
        return rule

    async def restore(self, conn: Connection, wish: Wish, *, rule_id: str, state: State) -> None:
        """Put back a rule of an export, under its own name; one that is known stays as it is."""
        await self._keep(conn, wish, state, rule_id=rule_id)

    async def _keep(self, conn: Connection, wish: Wish, state: State, *, rule_id: str = "") -> Rule | None:
        workspace = wish.scope.workspace
        scope = await self._store.scope_of(conn, wish.scope)
        await fence(conn, EVERYWHERE)
        check = wish.check.model_dump_json()
        marks = await self._vault.marks(conn, workspace, INDEX, [f"rule {check}"])
        text = json.dumps({"text": wish.text, "check": json.loads(check)}, ensure_ascii=False)
        cursor = await conn.execute(
            """
            insert into memory.rule (rule_id, scope_id, kind, state, said_by, source, subjects, sealed, mark)
            values (%(id)s, %(scope)s, %(kind)s, %(state)s, %(by)s, %(source)s, %(subjects)s, %(sealed)s, %(mark)s)
            on conflict (scope_id, kind, mark) do update
              set state = excluded.state, settled_by = excluded.said_by, settled_at = core.now()
              where (excluded.state = 'active' and rule.state <> 'active')
                 or (excluded.kind = 'lesson' and excluded.state = 'suggested' and rule.state = 'dropped')
            returning *
            """,
            {
                "id": rule_id or new_id("rule", 8),
                "scope": scope,
                "kind": wish.kind,
                "state": state,
                "by": wish.said_by,
                "source": wish.source,
                "subjects": [wish.said_by],
                "sealed": jsonb(await self._vault.seal(conn, workspace, [wish.said_by], about=ABOUT, text=text)),
                "mark": marks[f"rule {check}"],
            },
        )
        row = await cursor.fetchone()
        if row is None:
            return None if state != "active" else await self._known(conn, scope, wish, marks[f"rule {check}"])
        rule = await self._rule(conn, wish.scope, row)
        if rule is not None and state == "active":
            await self._show(conn, scope, rule)
        event = {"active": "rule.remembered", "suggested": "rule.suggested"}.get(state, "rule.dropped")
        self._audit(conn, row["rule_id"], workspace, wish.said_by, event, state)
        return rule

    async def _known(self, conn: Connection, scope: ScopeId, wish: Wish, mark: int) -> Rule | None:
        cursor = await conn.execute(
            "select * from memory.rule where scope_id = %s and kind = %s and mark = %s", (scope, wish.kind, mark)
        )
        row = await cursor.fetchone()
        return None if row is None else await self._rule(conn, wish.scope, row)

    async def settle(self, conn: Connection, rule: Rule, *, state: State, by: str) -> None:
        """Confirm or drop this rule by a person's word; call it with the rule held."""
        await conn.execute(
            "update memory.rule set state = %s, settled_by = %s, settled_at = core.now() where rule_id = %s",
            (state, by, rule.rule_id),
        )
        scope = await self._store.scope_of(conn, rule.scope)
        if state == "active":
            await self._show(conn, scope, rule)
        else:
            await self._hide(conn, rule.rule_id)
        await refresh_cards(conn, CARD, rule.rule_id)
        event = "rule.confirmed" if state == "active" else "rule.dropped"
        self._audit(conn, rule.rule_id, rule.scope.workspace, by, event, state)

    async def _show(self, conn: Connection, scope: ScopeId, rule: Rule) -> None:
        await self._store.derive(
            conn,
            rule.scope.workspace,
            Derived(
                scope=scope,
                tier=Tier.PLAYBOOK,
                source=f"rule:{rule.rule_id}",
                author=rule.said_by,
                text=rule.text,
                said_at=rule.said_at,
                trust=TrustLabel.MEMBER,
                subjects=[rule.said_by],
            ),
        )

    async def _hide(self, conn: Connection, rule_id: str) -> None:
        cursor = await conn.execute(
            "select item_id from memory.item where tier = 'playbook' and source = %s", (f"rule:{rule_id}",)
        )
        await self._store.remove(conn, [ItemId(row["item_id"]) for row in await cursor.fetchall()])

    async def _rule(self, conn: Connection, scope: Scope, row: Row) -> Rule | None:
        text = await self._store.text_of(conn, scope.workspace, row["sealed"])
        if text is None:
            return None
        said = json.loads(text)
        return Rule(
            rule_id=row["rule_id"],
            scope=scope,
            kind=row["kind"],
            text=said["text"],
            check=CHECKS.validate_python(said["check"]),
            state=row["state"],
            said_by=row["said_by"],
            said_at=row["said_at"],
            source=row["source"],
            settled_by=row["settled_by"],
        )

    def _audit(self, conn: Connection, rule_id: str, workspace: str, by: str, event: str, state: str) -> None:
        audit.append_at_end(
            conn,
            workspace,
            event,
            actor=audit.person(by),
            subject={"rule_id": rule_id},
            detail={"state": state},
        )
