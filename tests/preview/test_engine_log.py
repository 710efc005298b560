"""What the engine is waiting for, read from the log of its events while it grows."""

import json
from pathlib import Path

import pytest

from fastapi_platform_preview.engine_log import EngineLog


def event(name: str, urn: str, op: str = "update", **more: object) -> str:
    return json.dumps({name: {"metadata": {"urn": urn, "op": op}, **more}}) + "\n"


def test_a_resource_is_waited_for_from_its_change_to_its_end(tmp_path: Path):
    file = tmp_path / "events"
    log = EngineLog(file)
    assert log.changing() == frozenset()
    with file.open("a") as engine:
        engine.write(event("resourcePreEvent", "a") + event("resourcePreEvent", "b", "create"))
        engine.flush()
        assert log.changing() == {"a", "b"}
        engine.write(event("resOutputsEvent", "a") + event("resOpFailedEvent", "b", "create"))
        engine.flush()
        assert log.changing() == frozenset()


def test_half_a_line_is_read_when_it_is_whole(tmp_path: Path):
    file = tmp_path / "events"
    log = EngineLog(file)
    line = event("resourcePreEvent", "a")
    file.write_text(line[:20])
    assert log.changing() == frozenset()
    file.write_text(line)
    assert log.changing() == {"a"}


def test_what_stays_goes_or_is_only_planned_is_not_waited_for(tmp_path: Path):
    """A preview changes nothing; somebody may still be reading it and say no."""
    file = tmp_path / "events"
    file.write_text(
        event("resourcePreEvent", "a", planning=True) + event("resourcePreEvent", "b", "same")
        + event("resourcePreEvent", "c", "delete") + json.dumps({"preludeEvent": {"config": {}}}) + "\n"
    )  # fmt: skip
    assert EngineLog(file).changing() == frozenset()


def test_a_replacement_is_waited_for_although_the_old_one_is_gone(tmp_path: Path):
    file = tmp_path / "events"
    file.write_text(
        event("resourcePreEvent", "job", "delete-replaced") + event("resOutputsEvent", "job", "delete-replaced")
        + event("resourcePreEvent", "job", "create-replacement")
    )  # fmt: skip
    assert EngineLog(file).changing() == {"job"}


def test_the_log_of_an_update_takes_the_place_of_that_of_its_preview(tmp_path: Path):
    """The engine truncates the file when the user has said yes: what was read of it before is no measure."""
    file = tmp_path / "events"
    log = EngineLog(file)
    file.write_text(event("resourcePreEvent", "a", planning=True) * 3)
    assert log.changing() == frozenset()
    file.write_text(event("resourcePreEvent", "a") + event("resourcePreEvent", "b"))
    assert log.changing() == {"a", "b"}
    file.write_text(event("resourcePreEvent", "c") * 20)
    assert log.changing() == {"c"}


@pytest.mark.parametrize("line", [b"panic: half an ev\n", b"\xff\xfe\n", b"\n", b"[]\n"])
def test_a_line_that_is_no_event_is_passed_over(tmp_path: Path, line: bytes):
    file = tmp_path / "events"
    file.write_bytes(line + event("resourcePreEvent", "a").encode())
    assert EngineLog(file).changing() == {"a"}
