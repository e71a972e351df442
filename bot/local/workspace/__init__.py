"""A Slack-shaped server and page on this machine: what the bot connects to when there is no Slack."""

from bot.local.workspace.server import Workspace, WorkspaceOptions, open_workspace, serve

__all__ = ["Workspace", "WorkspaceOptions", "open_workspace", "serve"]
