"""A workflow is a file: it is found by itself, and offered where the outside systems it needs are there."""

from graphs.workflow import Workflows, scan_workflows


def test_every_workflow_of_the_folder_is_found_once() -> None:
    names = [workflow.name for workflow in scan_workflows()]
    assert {"returns", "undo"} <= set(names)
    assert len(set(names)) == len(names)


def test_only_those_are_offered_that_people_ask_for_by_name() -> None:
    assert "undo" not in Workflows(scan_workflows()).names()
