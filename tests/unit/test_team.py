"""The team: who may start, who may answer, and how that is said."""

import pytest

from actions.team import Approvers, Team

TEAM = Team.model_validate(
    {
        "workspace": "T0LOCAL",
        "people": {
            "U0ADA": {"name": "Ada", "roles": ["admin", "approver"], "tier": 3},
            "U0BEN": {"name": "Ben", "roles": ["approver"], "tier": 1},
            "U0CLEO": {"name": "Cleo", "roles": ["approver"], "tier": 2},
            "U0RITA": {"name": "Rita", "roles": ["requester"]},
            "U0OLE": {"name": "Ole", "roles": ["operator"]},
            "U0ZOE": {"name": "Zoe", "roles": ["admin"]},
            "U0AMIR": {"name": "Amir", "roles": ["auditor"]},
            "U0VIC": {"name": "Vic", "roles": ["viewer"]},
            "U0GUS": {"name": "Gus", "roles": ["guest"]},
        },
    }
)


@pytest.mark.parametrize(
    ("user_id", "may"),
    [
        ("U0ADA", True),
        ("U0BEN", True),
        ("U0RITA", True),
        ("U0OLE", True),
        ("U0ZOE", True),
        ("U0AMIR", False),
        ("U0VIC", False),
        ("U0GUS", False),
        ("U0STRANGER", False),
        ("", False),
    ],
)
def test_only_requesters_operators_approvers_and_admins_may_start(user_id, may):
    assert TEAM.may_start(user_id) is may


@pytest.mark.parametrize(
    ("approvers", "eligible"),
    [
        (Approvers(), ["U0ADA", "U0BEN", "U0CLEO"]),
        (Approvers(tier=2), ["U0ADA", "U0CLEO"]),
        (Approvers(tier=3), ["U0ADA"]),
        (Approvers(role="admin"), ["U0ADA", "U0ZOE"]),
        (Approvers(role="admin", tier=3), ["U0ADA", "U0ZOE"]),
        (Approvers(people=["U0CLEO", "U0BEN"]), ["U0BEN", "U0CLEO"]),
        (Approvers(people=["U0BEN"], tier=2), []),
        (Approvers(people=["U0RITA", "U0AMIR", "U0GUS", "U0STRANGER"]), []),
        (Approvers(people=["U0ZOE"]), []),
        (Approvers(quorum=2), ["U0ADA", "U0BEN", "U0CLEO"]),
    ],
)
def test_a_name_narrows_role_and_tier_and_never_widens_them(approvers, eligible):
    assert TEAM.eligible(approvers) == eligible


@pytest.mark.parametrize(
    ("approvers", "words"),
    [
        (Approvers(), "an approver"),
        (Approvers(tier=2), "an approver of tier 2 or higher"),
        (Approvers(tier=3), "an approver of tier 3"),
        (Approvers(role="admin"), "an admin"),
        (Approvers(role="admin", quorum=2), "2 admins"),
        (Approvers(tier=2, quorum=2), "2 approvers of tier 2 or higher"),
        (Approvers(people=["U0BEN"]), "Ben"),
        (Approvers(people=["U0BEN", "U0CLEO"]), "Ben or Cleo"),
        (Approvers(people=["U0BEN", "U0CLEO", "U0GONE"], quorum=2), "2 of Ben, Cleo and U0GONE"),
    ],
)
def test_who_may_answer_is_said_in_words(approvers, words):
    assert TEAM.describe(approvers) == words


def test_a_stranger_is_no_member():
    assert TEAM.member("U0STRANGER") is None
    assert TEAM.member("U0BEN") is TEAM.people["U0BEN"]


def test_one_person_alone_may_work_in_solo_mode():
    alone = {"U0ADA": {"name": "Ada", "roles": ["admin", "approver", "requester"], "tier": 3}}
    assert Team.model_validate({"workspace": "T0LOCAL", "solo": True, "people": alone}).solo


@pytest.mark.parametrize("others", [["approver"], ["admin"]])
def test_solo_is_refused_as_soon_as_a_second_person_could_approve(others):
    people = {
        "U0ADA": {"name": "Ada", "roles": ["admin"]},
        "U0BEN": {"name": "Ben", "roles": others, **({"tier": 1} if others == ["approver"] else {})},
    }
    with pytest.raises(ValueError, match="Ada and Ben can approve here"):
        Team.model_validate({"workspace": "T0LOCAL", "solo": True, "people": people})
    people["U0BEN"] = {"name": "Ben", "roles": ["requester"]}
    assert Team.model_validate({"workspace": "T0LOCAL", "solo": True, "people": people}).solo


def a_teammate(name, *channels, workflows=("returns",)):
    return {"name": name, "purpose": "p", "workflows": list(workflows), "actions": ["*"], "channels": list(channels)}


def team_of(*teammates):
    return Team.model_validate({**TEAM.model_dump(mode="json"), "teammates": list(teammates)})


def test_a_workflow_is_run_by_the_first_teammate_that_has_it_and_works_there():
    team = team_of(
        a_teammate("Mail", "C0MAIL", workflows=["triage"]), a_teammate("Rex", "C0RETURNS"), a_teammate("Zed", "C0ZED")
    )
    found = {
        channel: getattr(team.teammate("returns", channel), "name", None)
        for channel in ("C0RETURNS", "C0ZED", "C0MAIL", "D0RITA")
    }
    assert found == {"C0RETURNS": "Rex", "C0ZED": "Zed", "C0MAIL": None, "D0RITA": "Rex"}
    assert team.teammate("nothing", "C0RETURNS") is None
    assert team.where("returns") == ["C0RETURNS", "C0ZED"]
    everywhere = team_of(a_teammate("Rex"))
    assert everywhere.teammate("returns", "C0ANY") is not None


def test_two_teammates_have_two_names():
    with pytest.raises(ValueError, match="two teammates are called 'Rex'"):
        team_of(a_teammate("Rex"), a_teammate("Zed"), a_teammate("Rex"))
    assert len(team_of(a_teammate("Rex"), a_teammate("Zed")).teammates) == 2


def test_a_person_is_called_by_name_and_a_stranger_by_id():
    assert TEAM.name_of("U0BEN") == "Ben"
    assert TEAM.name_of("U0STRANGER") == "U0STRANGER"
