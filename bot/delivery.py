"""One thing that reached us, in our own words: what intake needs to know, whoever delivered it."""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["event", "command", "click", "view"]


@dataclass(frozen=True)
class Sender:
    """Who did it: (enterprise, workspace, user) exactly as Slack delivered them."""

    user_id: str
    team_id: str
    enterprise_id: str | None


@dataclass(frozen=True)
class Delivery:
    """One delivery; `delivery_id` is unique for what happened, however often it is sent to us."""

    delivery_id: str
    kind: Kind
    sender: Sender
    workspace: str
    """The workspace this app is installed in, which is not always the sender's own."""
    channel: str
    thread_ts: str | None
    text: str = ""
    """What the person typed, without our name or the command's: for commands, mentions and messages."""
    press: str = ""
    """Which button or modal was used, such as `approval.approve`."""
    value: str = ""
    """What the button or modal points at."""
    attempts: int = 0
    """How often its handling has been started, this time included."""

    @property
    def lane(self) -> str:
        """What one person does is handled in the order it was done."""
        return f"{self.sender.team_id}/{self.sender.user_id}"

    def to_json(self) -> dict[str, Any]:
        """Everything but the id, kind and attempts, as plain data."""
        return {
            "user_id": self.sender.user_id,
            "team_id": self.sender.team_id,
            "enterprise_id": self.sender.enterprise_id,
            "workspace": self.workspace,
            "channel": self.channel,
            "thread_ts": self.thread_ts,
            "text": self.text,
            "press": self.press,
            "value": self.value,
        }

    @classmethod
    def from_json(cls, delivery_id: str, kind: Kind, data: dict[str, Any], *, attempts: int) -> "Delivery":
        """The delivery that `to_json` wrote down."""
        return cls(
            delivery_id=delivery_id,
            kind=kind,
            sender=Sender(data["user_id"], data["team_id"], data["enterprise_id"]),
            workspace=data["workspace"],
            channel=data["channel"],
            thread_ts=data["thread_ts"],
            text=data["text"],
            press=data["press"],
            value=data["value"],
            attempts=attempts,
        )
