"""views.*, agents.sessions.* and assistant.threads.*: modals, Homes, and what the bot is at."""

from collections.abc import Awaitable, Callable, Mapping

from bot.local.workspace.call import Call
from bot.local.workspace.json_value import Json, as_list, as_object
from bot.local.workspace.refusal import Refusal

_SESSION_STATES = frozenset({"processing", "active", "suspended", "closed"})


async def open_view(call: Call) -> Json:
    """Open a modal for whoever made the trigger."""
    return {"view": call.parts.views.open(_trigger(call), _view(call))}


async def push_view(call: Call) -> Json:
    """Put a modal on top of the open one."""
    return {"view": call.parts.views.push(_trigger(call), _view(call))}


async def update_view(call: Call) -> Json:
    """Change an open modal."""
    view_id, external_id = call.text("view_id"), call.text("external_id")
    if not view_id and not external_id:
        raise Refusal("invalid_arguments", "[ERROR] must provide one of the following fields: view_id, external_id")
    return {
        "view": call.parts.views.update(
            _view(call), view_id=view_id, external_id=external_id, known_hash=call.text("hash")
        )
    }


async def publish_view(call: Call) -> Json:
    """Put a Home before a person."""
    if not call.parts.manifest.home_tab:
        raise Refusal("not_enabled", "manifest.yml says features/app_home/home_tab_enabled: false")
    person = call.parts.person(call.required("user_id"))
    return {"view": call.parts.views.publish(person.id, _view(call), known_hash=call.text("hash"))}


async def set_session_status(call: Call) -> Json:
    """Say what the bot is at in a conversation."""
    status = call.required("status")
    if status not in _SESSION_STATES:
        raise Refusal("invalid_arguments", f"[ERROR] status must be one of {', '.join(sorted(_SESSION_STATES))}")
    title = call.text("title")
    return _note_session(call, {"status": status, **({"title": title} if title else {})})


async def rename_session(call: Call) -> Json:
    """Give a session a title."""
    return _note_session(call, {"title": call.required("title")})


async def set_thread_status(call: Call) -> Json:
    """The older way to say what the bot is at; an empty status takes it away."""
    text = call.text("status")
    return _note_session(call, {"status": "processing" if text else "active", "text": text})


async def set_suggested_prompts(call: Call) -> Json:
    """Offer up to four things to say in a direct line."""
    prompts = as_list(call.data("prompts"))
    if not prompts or len(prompts) > 4:
        raise Refusal("invalid_arguments", "[ERROR] prompts must hold 1 to 4 entries")
    return _note_session(call, {"prompts": prompts, "prompts_title": call.text("title")})


def _note_session(call: Call, change: Json) -> Json:
    if call.parts.manifest.agent is None:
        raise Refusal("not_authorized", "manifest.yml declares no features/agent_view")
    channel = call.channel("channel_id")
    thread_ts = call.text("thread_ts")
    title = str(change.get("title", ""))
    if len(title) > 200:
        raise Refusal("invalid_arguments", "[ERROR] title must be less than 201 characters")
    present = call.parts.store.session(channel.id, thread_ts) or {"status": "active"}
    body = {**present, **change, "channel": channel.id, "thread_ts": thread_ts}
    call.parts.store.put_session(channel.id, thread_ts, body=body)
    call.parts.changes.tell("session", channel=channel.id, thread_ts=thread_ts)
    return {}


def _trigger(call: Call) -> str:
    return call.required("trigger_id")


def _view(call: Call) -> Json:
    view = as_object(call.data("view"))
    if view is None:
        raise Refusal("invalid_arguments", "[ERROR] missing required field: view")
    return view


VIEW_METHODS: Mapping[str, Callable[[Call], Awaitable[Json]]] = {
    "agents.sessions.rename": rename_session,
    "agents.sessions.setStatus": set_session_status,
    "assistant.threads.setStatus": set_thread_status,
    "assistant.threads.setSuggestedPrompts": set_suggested_prompts,
    "views.open": open_view,
    "views.publish": publish_view,
    "views.push": push_view,
    "views.update": update_view,
}
