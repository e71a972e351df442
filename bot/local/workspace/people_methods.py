"""users.*, usergroups.*, bots.info, team.info, auth.test: who is who."""

from collections.abc import Awaitable, Callable, Mapping

from bot.local.workspace.call import Call
from bot.local.workspace.company import bot_user_json, user_group_json, user_json
from bot.local.workspace.json_value import Json
from bot.local.workspace.refusal import Refusal


async def auth_test(call: Call) -> Json:
    """Whose token this is."""
    company = call.parts.company
    return {
        "url": f"{call.parts.url()}/",
        "team": company.team.name,
        "user": company.bot.name,
        "team_id": company.team.id,
        "user_id": company.bot.user_id,
        "bot_id": company.bot.bot_id,
        "app_id": company.bot.app_id,
        "is_enterprise_install": False,
    }


async def user_info(call: Call) -> Json:
    """One member."""
    return {"user": _user(call, call.required("user"))}


async def user_list(call: Call) -> Json:
    """All members, the bot included."""
    company = call.parts.company
    ids = [*(person.id for person in company.people), company.bot.user_id]
    members = [_user(call, user_id) for user_id in ids]
    return {
        "members": members,
        "cache_ts": int(call.parts.clock.now().timestamp()),
        "response_metadata": {"next_cursor": ""},
    }


async def user_group_list(call: Call) -> Json:
    """All user groups."""
    company = call.parts.company
    with_users = call.flag("include_users")
    return {"usergroups": [user_group_json(each, company, with_users=with_users) for each in company.user_groups]}


async def user_group_users(call: Call) -> Json:
    """Who is in a user group."""
    group = call.parts.company.user_group(call.required("usergroup"))
    if group is None:
        raise Refusal("no_such_subteam")
    return {"users": list(group.users)}


async def bot_info(call: Call) -> Json:
    """The bot."""
    bot = call.parts.company.bot
    if call.text("bot", bot.bot_id) != bot.bot_id:
        raise Refusal("bot_not_found")
    told = {"id": bot.bot_id, "deleted": False, "name": bot.real_name, "updated": 1}
    return {"bot": {**told, "app_id": bot.app_id, "user_id": bot.user_id, "icons": {}}}


async def team_info(call: Call) -> Json:
    """The workspace."""
    team = call.parts.company.team
    return {"team": {"id": team.id, "name": team.name, "domain": team.domain, "email_domain": "", "icon": {}}}


def _user(call: Call, user_id: str) -> Json:
    company = call.parts.company
    if user_id == company.bot.user_id:
        return bot_user_json(company)
    person = call.parts.person(user_id)
    return user_json(person, team_id=company.team.id, now=call.parts.clock.now())


PEOPLE_METHODS: Mapping[str, Callable[[Call], Awaitable[Json]]] = {
    "auth.test": auth_test,
    "bots.info": bot_info,
    "team.info": team_info,
    "usergroups.list": user_group_list,
    "usergroups.users.list": user_group_users,
    "users.info": user_info,
    "users.list": user_list,
}
