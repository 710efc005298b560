"""The one form in which a value is refused."""

from dataclasses import dataclass

import pytest

from fastapi_platform.planning.errors import PlatformError, Problem, expect, shown, verify


@dataclass(frozen=True)
class Disk:
    size_gb: int
    note: str = ""


def test_a_message_has_path_value_wish_reason_and_next_step_in_this_order():
    with pytest.raises(PlatformError) as refused:
        verify(Disk(5), expect("size_gb", False, want="10 or more", why="smaller disks are rejected", fix="Buy one."))
    assert str(refused.value) == (
        "Disk.size_gb: got 5, want 10 or more; smaller disks are rejected. Buy one."
    )


def test_the_next_step_is_to_set_the_field_when_nothing_better_is_known():
    with pytest.raises(PlatformError, match=r"Set size_gb to 10 or more\."):
        verify(Disk(5), expect("size_gb", False, want="10 or more", why="smaller disks are rejected"))


def test_all_problems_are_in_one_error():
    """Somebody who mends one mistake a run needs as many runs as mistakes."""
    with pytest.raises(PlatformError) as refused:
        verify(
            Disk(5, "x"),
            expect("size_gb", False, want="10", why="a"),
            expect("note", True, want="nothing", why="b"),
            expect("note", False, want="less", why="c"),
        )
    assert [problem.field for problem in refused.value.problems] == ["size_gb", "note"]


def test_an_acceptable_value_raises_nothing():
    verify(Disk(10), expect("size_gb", True, want="10", why="a"))


def test_a_problem_can_move_under_a_path_of_a_stack_file():
    problem = Problem("Disk", "size_gb", "5", "10", "why", "fix")
    assert problem.under("database.disk").path == "database.disk.size_gb"


def test_a_long_value_is_cut_and_its_length_told():
    assert shown("x" * 200) == "x" * 80 + "… (200 characters)"


@pytest.mark.parametrize("secret", ["postgresql://me:hunter2@db/orders", "-----BEGIN RSA PRIVATE KEY-----\nMII"])
def test_a_credential_is_never_shown(secret: str):
    """An error is copied into tickets and chats."""
    assert shown(secret) == "[secret]"
    with pytest.raises(PlatformError) as refused:
        verify(Disk(1, secret), expect("note", False, want="less", why="b"))
    assert secret not in str(refused.value)


def test_of_a_value_that_holds_one_nothing_is_shown():
    assert shown(("run", "--password", "hunter2")) == "[secret]"
