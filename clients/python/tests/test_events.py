"""What an event looks like on the wire, and that it is never too large for the server."""

import json

from conftest import description
from recording import refusal
from taskscope.cause import Cause
from taskscope.events import Event, rfc3339

NOW = 1_764_000_000_123_456_789


def test_times_are_utc_with_microseconds() -> None:
    assert rfc3339(NOW) == "2025-11-24T16:00:00.123456Z"
    assert rfc3339(1_764_000_000_000_000_000) == "2025-11-24T16:00:00.000000Z"


def test_a_finished_event_says_everything() -> None:
    cause = Cause("builtins.ValueError", "ValueError('x')")
    event = Event("task_failed", NOW, description(worker="w", max_retries=3), NOW - 1_500_000, 1_500_000, cause)
    assert json.loads(event.json("w:1")) == {
        "type": "task_failed",
        "event_id": "w:1",
        "timestamp": "2025-11-24T16:00:00.123456Z",
        "numbering": "taskiq",
        "task_id": "t1",
        "task_name": "app:task",
        "queue": "q",
        "worker": "w",
        "max_retries": 3,
        "labels": {},
        "params": {"n": 1},
        "started_at": "2025-11-24T16:00:00.121956Z",
        "duration_ms": 1.5,
        "error_type": "builtins.ValueError",
        "error_message": "ValueError('x')",
    }


def test_a_description_is_written_once() -> None:
    shared = description(params={"n": [1]})
    first = json.loads(Event("task_started", NOW, shared).json("w:1"))
    assert shared.params is None
    second = json.loads(Event("task_completed", NOW, shared, NOW, 0).json("w:2"))
    assert second["params"] == first["params"] == {"n": [1]}


def test_the_largest_event_is_within_the_servers_limits() -> None:
    worst = "\x01" * 200_000  # each becomes six bytes
    error = ValueError(worst)
    shared = description(worst, task_name=worst, queue=worst, worker=worst, labels={"a": worst}, params={"a": worst})
    text = Event("task_failed", NOW, shared, NOW, 0, Cause.of(error)).json("w:1")
    assert len(text) < 256 * 1024
    event = json.loads(text)
    assert refusal(event) is None
    assert len(event["error_message"].encode()) > 1000
    text = Event("task_completed", NOW, shared, NOW, 0, result=worst).json("w:1")
    assert refusal(json.loads(text)) is None


def test_a_traceback_has_its_causes_and_keeps_both_ends() -> None:
    def fail(depth: int) -> None:
        if depth == 0:
            try:
                raise KeyError("the very first")
            except KeyError as error:
                raise ValueError("what came of it") from error
        fail_again(depth)

    def fail_again(depth: int) -> None:
        fail(depth - 1)

    for depth in (0, 400):
        try:
            fail(depth)
        except ValueError as error:
            cause = Cause.of(error)
        event = json.loads(Event("task_failed", NOW, description(), NOW, 0, cause).json("w:1"))
        traceback = event["error_traceback"]
        assert traceback.startswith("Traceback (most recent call last):\n")
        assert "KeyError: 'the very first'" in traceback
        assert "The above exception was the direct cause" in traceback
        assert traceback.endswith("ValueError: what came of it\n")
        assert ("(cut:" in traceback) == (depth > 0)
        assert len(json.dumps(traceback, ensure_ascii=False).encode()) <= 64 * 1024


def test_a_cause_holds_no_frame() -> None:
    import gc
    import weakref

    class Large:
        pass

    def fail() -> "weakref.ref[Large]":
        large = Large()
        try:
            raise ValueError("x")
        except ValueError as error:
            causes.append(Cause.of(error))
        return weakref.ref(large)

    causes: list[Cause] = []
    reference = fail()
    gc.collect()
    assert reference() is None
    assert "fail" in (causes[0].traceback() or "")


def test_an_exception_that_fails_itself() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    cause = Cause.of(OddError())
    assert "whose repr fails: RuntimeError" in cause.message
    event = json.loads(Event("task_failed", NOW, description(), NOW, 0, cause).json("w:1"))
    assert event["error_message"] == cause.message
