"""host.isolate: cuts one host off the network for a while; host.release lets it back."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from actions.action import Call, Effect, action
from actions.assets import ASSETS
from actions.containment_rules import LONGEST
from actions.ground import Ground
from actions.trusted import HOST

_Id = Annotated[str, Field(min_length=1, max_length=200)]


class Isolation(BaseModel):
    """One host to be cut off, for how long and in which case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host_id: _Id
    minutes: Annotated[int, Field(ge=1, le=LONGEST)]
    case_id: _Id
    reason: Annotated[str, Field(max_length=500)]


class Isolated(BaseModel):
    """The endpoint's proof that the host is cut off, and until when."""

    model_config = ConfigDict(frozen=True)

    host_id: str
    command_id: str
    until: datetime


@action(
    "host.isolate",
    connector="hosts",
    effect=Effect.REVERSIBLE,
    summary="Isolate host {host_id} for {minutes} minutes (case {case_id})",
    target="host_id",
    resolved={"host_id": HOST},
)
async def isolate_host(args: Isolation, call: Call) -> Isolated:
    """Isolate; the result names the command by which the host is released again."""
    reply = await call.send()
    return Isolated(host_id=reply["host_id"], command_id=reply["command_id"], until=reply["until"])


@isolate_host.precheck
async def still_ours_to_isolate(args: Isolation, ground: Ground) -> str:
    """What the inventory says now counts, whatever was approved before."""
    if not ground.sources.has(ASSETS):
        return f"There is no inventory that knows {args.host_id}, so nothing was sent."
    host = await ground.sources.get(ASSETS).host(args.host_id)
    if host is None or host.host_id != args.host_id:
        return f"The inventory has no host {args.host_id}, so nothing was sent."
    if host.is_protected:
        return f"{args.host_id} is protected by the inventory, so it was not isolated. A person must act."
    return ""


class Release(BaseModel):
    """One isolated host that is to be let back on the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host_id: _Id
    command_id: _Id
    """The isolation that ends; a later one of the same host stays."""
    case_id: _Id


class Released(BaseModel):
    """The endpoint's proof that the host is back."""

    model_config = ConfigDict(frozen=True)

    host_id: str
    command_id: str


@action(
    "host.release",
    connector="hosts",
    effect=Effect.REVERSIBLE,
    summary="Release host {host_id} from isolation {command_id} (case {case_id})",
    target="host_id",
    resolved={"host_id": HOST},
)
async def release_host(args: Release, call: Call) -> Released:
    """Release; a host that this isolation does not hold any more is released already."""
    reply = await call.send()
    return Released(host_id=reply["host_id"], command_id=reply["command_id"])


@release_host.attested
def release_found(args: Release, reference: str) -> Released:
    """What a person's word gives where the endpoint left no receipt."""
    return Released(host_id=args.host_id, command_id=reference)


@isolate_host.compensation(release_host, within=timedelta(days=30), lapses="until")
def let_back(args: Isolation, done: Isolated) -> Release:
    """The very isolation that was made, and no later one of the same host."""
    return Release(host_id=args.host_id, command_id=done.command_id, case_id=args.case_id)


BY_HAND = isolate_host.by_hand("On the containment console, let host {host_id} back on the network (case {case_id}).")
