"""Undo: takes back what a run did, newest first; what no action can take back becomes an errand for a person."""

from graphs.undo import undo_walk
from graphs.undoing import UNDO, UNDO_VERSION
from graphs.workflow import Workflow

UNDOING = Workflow(
    name=UNDO,
    version=UNDO_VERSION,
    purpose="Take back what a run did, newest first",
    usage="<run>",
    examples=(),
    build=undo_walk,
    offered=False,
)
