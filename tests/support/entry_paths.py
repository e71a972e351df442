"""Every way in from outside, with what it may cause and the test that drives it; a way in without a row is refused."""

from dataclasses import dataclass
from typing import Literal

#: What a way in may lead to. Only a run has effects, and only through the gateway.
Causes = Literal["nothing", "run", "schedule", "answer", "switch", "rules", "stop"]

_ASKING = "tests/acceptance/test_entry_matrix.py::test_what_is_asked_by_any_way_in_ends_as_the_policy_page_says"
_MATRIX = "tests/acceptance/test_entry_matrix.py::"
_SWEPT = f"{_MATRIX}test_a_sweep_on_a_schedule_refunds_alone_only_what_the_page_lets_run_alone"
_PRESSED = "tests/acceptance/test_entry_matrix.py::test_nothing_that_can_be_said_or_pressed_skips_the_gateway"
_ANSWERED = "tests/integration/test_gateway_matrix.py::test_each_person_answers_as_the_policy_page_says"
_EDITING = "tests/acceptance/test_edit_and_approve.py::"
_EDITED = f"{_EDITING}test_an_amount_lowered_in_the_form_is_what_is_refunded_and_everybody_is_told"
_LISTED = "tests/acceptance/test_entry_matrix.py::test_the_command_line_begins_no_effect"
_KEPT = "tests/acceptance/test_entry_matrix.py::test_what_the_bot_does_by_itself_begins_no_effect"
_UNDONE = "tests/acceptance/test_entry_matrix.py::test_an_undoing_goes_through_the_same_door_by_whoever_may_ask_for_it"
_BY_HAND = "tests/acceptance/test_undo.py::test_a_done_return_is_undone_once_and_the_refund_is_left_to_a_person"
_BY_ITSELF = "tests/acceptance/test_undo.py::test_a_return_whose_refund_is_refused_is_taken_back_by_itself"
_STANDING_IN = "tests/integration/test_standing_in.py::"
_IN_PLACE = f"{_STANDING_IN}test_a_delegate_answers_in_the_absent_ones_place_and_it_is_recorded_so"
_AGAIN = "tests/integration/test_parked.py::test_asking_again_is_judged_by_the_policy_of_today"
_SURE = f"{_STANDING_IN}test_a_confirmation_gives_nobody_a_right"
_BATCHED = "tests/integration/test_batches.py::test_ones_own_are_skipped_and_strangers_decide_nothing"
_PLANNED = "tests/acceptance/test_batch_and_plan.py::test_a_plan_of_two_steps_that_ask_is_approved_by_one_press"
_DROPPED = "tests/acceptance/test_batch_and_plan.py::test_a_step_is_dropped_and_what_depends_on_it_is_not_begun"
_CANCELLED = "tests/acceptance/test_batch_and_plan.py::test_whoever_asked_cancels_the_plan_and_a_bystander_does_not"
_REHEARSED = "tests/acceptance/test_dry_run.py::test_what_would_run_alone_and_what_would_be_refused_is_said"
_FOR_REAL = "tests/acceptance/test_dry_run.py::test_its_asker_alone_runs_it_for_real_once_under_the_same_digests"
_SETTLED = "tests/integration/test_doubts.py::test_policy_is_asked_again_before_what_did_not_happen_is_sent_again"
_HAPPENED = "tests/acceptance/test_in_doubt_by_click.py::"
_HAPPENED_SO = f"{_HAPPENED}test_what_only_a_person_can_tell_is_asked_and_their_word_ends_it"
_LOOKING = "tests/integration/test_doubts.py::test_investigate_says_who_looks_and_settles_nothing"
_JUDGED = "tests/integration/test_memory_wiring.py::test_only_whoever_asked_says_whether_it_was_of_use"
_READ = "tests/unit/test_entry_paths.py::test_what_slack_delivers_is_one_of_the_four_kinds"
_LAPSED = (
    "tests/integration/test_alerts.py::test_an_isolation_is_released_by_itself_once_also_when_the_endpoint_is_silent"
)
_ENGINE = "tests/integration/test_engine_dispatch.py"


_REMEMBERED = "tests/integration/test_memory_verbs.py"
_SHOWN_AROUND = (
    "tests/integration/test_guiding.py::test_a_press_starts_the_step_once_in_the_pressers_name_by_the_ordinary_door"
)
_TAUGHT = (
    "tests/integration/test_guiding.py::test_a_lesson_counts_once_somebody_entitled_has_seen_it_on_five_past_cases"
)


@dataclass(frozen=True)
class Row:
    """One way in."""

    causes: Causes
    driven: str
    """The test that drives it, as pytest names it."""


def _rows(driven: str, causes: Causes, *names: str) -> dict[str, Row]:
    return {name: Row(causes, driven) for name in names}


PATHS: dict[str, Row] = {
    # What is typed after the command, after our name and in a direct message: the verbs are the same.
    **_rows(_ASKING, "run", "verb run", "verb ask"),
    **_rows(_ASKING, "schedule", "verb schedule"),
    **_rows(_PRESSED, "stop", "verb stop"),
    **_rows(_PRESSED, "switch", "verb pause", "verb resume"),
    **_rows(
        _PRESSED,
        "nothing",
        *("verb status", "verb approvals", "verb help", "verb autonomy", "verb why", "verb cost"),
    ),
    **_rows(_UNDONE, "run", "verb undo"),
    # A dry run goes through the gateway as well, and comes to nothing.
    **_rows(_REHEARSED, "run", "verb dry"),
    **_rows(_FOR_REAL, "run", "press run.for_real", "desk run"),
    **_rows(_IN_PLACE, "answer", "verb away", "verb delegate", "verb back"),
    **_rows(_AGAIN, "answer", "verb reopen", "press reopen.ask", "desk reopen"),
    # What is pressed, on cards and in modals.
    **_rows(_ANSWERED, "answer", "press approval.approve", "press approval.reject"),
    **_rows(_EDITED, "answer", "press edit.change"),
    **_rows(
        _PRESSED,
        "nothing",
        *("press approval.details", "press approval.page", "press question.ask", "press question.reply"),
        *("press reason.text", "press edit.value"),
    ),
    **_rows(_SURE, "answer", "press approval.approve_anyway"),
    **_rows(_BATCHED, "answer", "press batch.approve", "desk batch"),
    **_rows(_PLANNED, "answer", "press plan.approve", "desk plan"),
    **_rows(_DROPPED, "answer", "press plan.drop"),
    **_rows(_CANCELLED, "stop", "press plan.cancel"),
    # A person's word that it did not happen lets a run go on, through the same door and past the same policy.
    **_rows(_SETTLED, "run", "press doubt.absent", "desk doubt"),
    **_rows(_HAPPENED_SO, "nothing", "press doubt.happened", "form doubt.happened", "press reference.text"),
    **_rows(_LOOKING, "nothing", "press doubt.looking"),
    **_rows(_BY_HAND, "nothing", "press errand.done", "press errand.impossible", "desk errand"),
    **_rows(_PRESSED, "stop", "press run.stop"),
    **_rows(
        _PRESSED,
        "rules",
        *("press rules.put_in_force", "press autonomy.grant", "press autonomy.decline", "press autonomy.take_back"),
    ),
    **_rows(_PRESSED, "answer", "desk edit"),
    **_rows(_PRESSED, "rules", "desk rules", "desk autonomy"),
    **_rows(_PRESSED, "nothing", "desk question"),
    **_rows(_PRESSED, "nothing", "form approval.reject", "form question.ask"),
    # A word about what was recalled is kept, and moves nothing.
    **_rows(_JUDGED, "nothing", "press recall.useful", "press recall.useless", "desk recall"),
    # How Slack reaches us, and who may have asked for a run.
    **_rows(_READ, "run", "delivery event", "delivery command"),
    **_rows(_READ, "answer", "delivery click", "delivery view"),
    **_rows(
        _READ,
        "run",
        *("slack command /team", "slack event app_mention", "slack event .*"),
    ),
    **_rows(_READ, "answer", "slack action ^[a-z]+\\.[a-z_]+$", "slack view ^[a-z]+\\.[a-z_]+$"),
    **_rows(_EDITED, "answer", "slack action edit.change", "slack view edit.change"),
    **_rows(
        _READ,
        "run",
        *("manifest app_mention", "manifest message.channels", "manifest message.groups", "manifest message.im"),
    ),
    **_rows(_ASKING, "run", "origin command", "origin mention"),
    **_rows(_SWEPT, "run", "origin schedule"),
    **_rows(_BY_ITSELF, "run", "origin run"),
    # Kept for runs that scripts ask for; nothing on the command line starts one.
    **_rows(_LISTED, "nothing", "origin cli"),
    # What goes by itself.
    **_rows(_ASKING, "run", "role bot", "role worker", "role scheduler"),
    **_rows(_ENGINE, "run", "engine task advance"),
    **_rows(
        _KEPT,
        "nothing",
        *("round approvals.act_due", "round batches.look", "round switch.watch", "round grants.look"),
        *("round model_calls.give_up_lost", "round memory.embed", "round memory.keys.look", "round tidying.look"),
    ),
    **_rows(_LAPSED, "run", "round releasing.look"),
    # The command line lists, explains, checks and pauses; `up` and `serve` begin the roles above.
    **_rows(_ASKING, "run", "cli up", "cli serve", "cli workspace", "cli sandbox"),
    **_rows(_LISTED, "nothing", "cli doctor", "cli reset", "cli import", "cli resume"),
    **_rows(_LISTED, "switch", "cli pause"),
    **_rows(
        _LISTED,
        "nothing",
        *("cli calls", "cli cost"),
        *("cli runs", "cli approvals", "cli pauses", "cli ledger", "cli schedules", "cli audit", "cli actions"),
        "cli connectors",
        *("cli policy check", "cli policy explain", "cli policy simulate", "cli policy list", "cli team"),
    ),
    **_rows(_LISTED, "rules", "cli policy rollback"),
    # Memory: nothing that is remembered, confirmed or forgotten has an effect outside.
    **_rows(_REMEMBERED, "nothing", "verb memory", "desk rule", "desk dispute", "desk quarantine"),
    **_rows(_REMEMBERED, "nothing", "press rule.confirm", "press rule.drop", "press dispute.accept"),
    **_rows(_REMEMBERED, "nothing", "press dispute.refuse", "press quarantine.release", "press quarantine.keep_out"),
    **_rows(_REMEMBERED, "nothing", "cli memory export", "cli memory import", "cli memory report", "cli memory token"),
    **_rows(
        _KEPT,
        "nothing",
        *("round keeping.distiller.distil", "round keeping.chronicler.look"),
        *("round keeping.upkeep.look", "round keeping.forget", "round keeping.measure"),
        *("round keeping.forgetting.work", "round keeping.prune"),
    ),
    **_rows(_SHOWN_AROUND, "run", "verb demo", "desk demo", "press demo.start"),
    **_rows(_SHOWN_AROUND, "nothing", "press demo.next", "press demo.end"),
    # A lesson changes what a mail is taken for; whatever follows from that goes through the same door.
    **_rows(_TAUGHT, "rules", "verb teach", "desk lesson", "press lesson.right", "press lesson.wrong"),
    # What answers over HTTP: the local workspace's page, and how an installation is.
    **_rows(_PRESSED, "nothing", "http GET /healthz", "http GET /metrics"),
    **_rows(
        _READ,
        "nothing",
        *("http GET /", "http GET /archives/{channel}/{message}", "http GET /page/{name}"),
        *("http GET /api/{method}", "http POST /api/{method}", "http GET /files-pri/{id}", "http GET /link/"),
        *("http POST /response/{id}", "http GET /local/api/changes", "http GET /local/api/{what}"),
        *("http GET /local/api/faults", "http POST /local/api/faults"),
    ),
    **_rows(_ASKING, "run", "http POST /local/api/{verb}", "page say", "page command"),
    **_rows(_ANSWERED, "answer", "page click", "page submit"),
    **_rows(
        _READ,
        "nothing",
        *("page select", "page shortcut", "page close", "page react", "page edit", "page delete", "page upload"),
        *("page stop", "page open"),
    ),
}
