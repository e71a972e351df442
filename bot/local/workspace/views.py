"""Modals, Homes and the triggers that open them: 3 seconds, once, and never over a newer version."""

import secrets
from dataclasses import dataclass

from bot.local.workspace.blocks_check import check_view
from bot.local.workspace.changes import Changes
from bot.local.workspace.company import Company
from bot.local.workspace.elements import with_ids
from bot.local.workspace.json_value import Json
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.store import Store
from core.clock import Clock

_TRIGGER_SECONDS = 3.0
_DEEPEST = 3


@dataclass
class _Trigger:
    user: str
    made: float
    in_modal: bool
    used: bool = False


class Views:
    """The stack of modals each person has open, and each person's Home."""

    def __init__(self, company: Company, store: Store, *, changes: Changes, clock: Clock) -> None:
        self._company = company
        self._store = store
        self._changes = changes
        self._clock = clock
        self._triggers: dict[str, _Trigger] = {}
        self._stacks: dict[str, list[Json]] = {}

    def trigger(self, user: str, *, in_modal: bool = False) -> str:
        """A name by which the bot may open one modal for a person within 3 seconds."""
        now = self._clock.monotonic()
        self._triggers = {
            name: made for name, made in self._triggers.items() if now - made.made < 20 * _TRIGGER_SECONDS
        }
        name = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[name] = _Trigger(user, now, in_modal)
        return name

    def open(self, trigger_id: str, view: Json) -> Json:
        """Open a modal for the person who made the trigger, in place of any that was open."""
        made = self._made(view, {"modal"})
        trigger = self._redeem(trigger_id)
        made["root_view_id"] = made["id"]
        self._stacks[trigger.user] = [made]
        self._tell(trigger.user)
        return made

    def push(self, trigger_id: str, view: Json) -> Json:
        """Put a modal on top of those that a person has open."""
        made = self._made(view, {"modal"})
        trigger = self._redeem(trigger_id, in_modal=True)
        self.push_for(trigger.user, made)
        return made

    def push_for(self, user: str, made: Json) -> None:
        """Put a made view on top of a person's modals; raises Refusal when three are open."""
        stack = self._stacks.get(user, [])
        if not stack:
            raise Refusal("not_found", "the modal to push on is closed")
        if len(stack) >= _DEEPEST:
            raise Refusal("push_limit_reached")
        made["root_view_id"] = stack[0]["id"]
        made["previous_view_id"] = stack[-1]["id"]
        stack.append(made)
        self._tell(user)

    def update(self, view: Json, *, view_id: str, external_id: str, known_hash: str) -> Json:
        """Put another content into an open modal; with a hash, only while that is still its newest."""
        user, present = self._present(view_id, external_id)
        if known_hash and known_hash != present["hash"]:
            raise Refusal("hash_conflict")
        return self.replace(user, present, made=self._made(view, {"modal"}))

    def replace(self, user: str, present: Json, *, made: Json) -> Json:
        """Put a made view where another one is, under that one's id."""
        kept = {name: present[name] for name in ("id", "root_view_id", "previous_view_id")}
        fresh = {**made, **kept}
        stack = self._stacks.get(user, [])
        if all(view["id"] != fresh["id"] for view in stack):
            raise Refusal("not_found", "the modal to update is closed")
        self._stacks[user] = [fresh if view["id"] == fresh["id"] else view for view in stack]
        self._tell(user)
        return fresh

    def publish(self, user: str, view: Json, *, known_hash: str) -> Json:
        """Put a Home before a person; with a hash, only while that is still the newest."""
        made = self._made(view, {"home"})
        present = self._store.home(user)
        if known_hash and (present is None or present["hash"] != known_hash):
            raise Refusal("hash_conflict")
        if present is not None:
            made["id"] = present["id"]
        made["root_view_id"] = made["id"]
        self._store.put_home(user, made)
        self._changes.tell("home", user=user)
        return made

    def stack(self, user: str) -> list[Json]:
        """The modals a person has open, the top one last."""
        return list(self._stacks.get(user, []))

    def seen(self, user: str, view_id: str) -> Json:
        """The view of an id as a person sees it: the top modal, or the Home; raises Refusal."""
        stack = self._stacks.get(user, [])
        home = self._store.home(user)
        for view in (*stack[-1:], *([home] if home else [])):
            if view["id"] == view_id:
                return view
        raise Refusal("view_not_found", "this person has no such view in front of them")

    def close(self, user: str, view: Json) -> None:
        """Take a modal away, the one below it (if any) is in front again."""
        self._stacks[user] = [each for each in self._stacks.get(user, []) if each["id"] != view["id"]]
        self._tell(user)

    def clear(self, user: str) -> None:
        """Take all modals of a person away."""
        self._stacks.pop(user, None)
        self._tell(user)

    def make(self, view: Json) -> Json:
        """A checked modal with its ids, not yet in front of anybody; raises Refusal."""
        return self._made(view, {"modal"})

    def _tell(self, user: str) -> None:
        self._changes.tell("views", user=user)

    def _present(self, view_id: str, external_id: str) -> tuple[str, Json]:
        for user, stack in self._stacks.items():
            for view in stack:
                if view_id == view["id"] or (external_id and external_id == view["external_id"]):
                    return user, view
        raise Refusal("not_found")

    def _redeem(self, trigger_id: str, *, in_modal: bool = False) -> _Trigger:
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise Refusal("invalid_trigger_id")
        if trigger.used:
            raise Refusal("exchanged_trigger_id")
        if self._clock.monotonic() - trigger.made > _TRIGGER_SECONDS:
            raise Refusal("expired_trigger_id")
        if in_modal and not trigger.in_modal:
            raise Refusal("invalid_trigger_id", "only an interaction inside a modal can push a view")
        trigger.used = True
        return trigger

    def _made(self, view: Json, kinds: set[str]) -> Json:
        if view.get("type") not in kinds:
            raise Refusal("invalid_arguments", f"[ERROR] the view must be of type {' or '.join(sorted(kinds))}")
        found = check_view(view)
        if found:
            raise Refusal("invalid_arguments", *found)
        bare = {
            "private_metadata": "",
            "callback_id": "",
            "external_id": "",
            "title": None,
            "submit": None,
            "close": None,
            "clear_on_close": False,
            "notify_on_close": False,
            "previous_view_id": None,
            "root_view_id": None,
        }
        return {
            **bare,
            **view,
            "id": "V" + secrets.token_hex(5).upper(),
            "team_id": self._company.team.id,
            "app_id": self._company.bot.app_id,
            "bot_id": self._company.bot.bot_id,
            "app_installed_team_id": self._company.team.id,
            "blocks": with_ids(view.get("blocks")),
            "state": {"values": {}},
            "hash": f"{int(self._clock.now().timestamp())}.{secrets.token_hex(4)}",
        }
