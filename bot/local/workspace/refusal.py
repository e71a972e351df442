"""What this server says when it will not do a thing: Slack's error code, and its reasons."""

from typing import Any

from core.errors import CountersignError


class Refusal(CountersignError):
    """A call is refused with Slack's error code; `answer` is the JSON that tells the caller."""

    def __init__(self, code: str, *messages: str, **extra: Any) -> None:
        super().__init__(f"{code}: {'; '.join(messages)}" if messages else code)
        self.code = code
        self.messages = messages
        self._extra = extra

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON body as Slack words it."""
        body: dict[str, Any] = {"ok": False, "error": self.code, **self._extra}
        if self.messages:
            body["response_metadata"] = {"messages": list(self.messages)}
        return body


class NoAnswer(CountersignError):
    """The bot was asked by a command or an interaction and did not acknowledge it in time."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The bot did not answer ({code}). See whether it runs and try again.")
        self.code = code
