"""The bodies in `crates/wire/fixtures/python`, which the server's tests decode: this client still sends them.

Ids, times, places in files and the process are made the same in both. ``UPDATE_FIXTURES=1`` writes them anew.
"""

import asyncio
import itertools
import json
import os
import re
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from taskiq import Context, InMemoryBroker, SimpleRetryMiddleware, TaskiqDepends

from conftest import shut_down
from recording import TOKEN, Event, Taskscope
from taskscope import TaskscopeMiddleware

FOLDER = Path(__file__).parents[3] / "crates" / "wire" / "fixtures" / "python"

Kick = Callable[[InMemoryBroker], Awaitable[Any]]


class Odd:
    def __repr__(self) -> str:
        return "<Odd>"


def register(broker: InMemoryBroker) -> None:
    """The tasks of all cases."""

    async def add(a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    async def fail(reason: str) -> None:
        try:
            raise KeyError("cause")
        except KeyError as error:
            raise ValueError(reason) from error

    async def requeue(context: Context = TaskiqDepends()) -> str:  # noqa: B008
        if "X-Taskiq-requeue" not in context.message.labels:
            await context.requeue()
        return "at last"

    async def reject(context: Context = TaskiqDepends()) -> None:  # noqa: B008
        context.reject()

    async def give(name: str, **_: object) -> object:
        values = {
            "odd": Odd(),
            "mixed": {
                "nan": float("nan"),
                "big": 2**70,
                "half": "\ud800",
                "nul": "a\0b",
                "bytes": b"\xff",
                7: (1, {2}),
            },
            "long": ["é" * 100] * 100,
            "nothing": None,
        }
        return values[name]

    async def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(10)

    for name, function in (("add", add), ("requeue", requeue), ("reject", reject), ("give", give), ("cancel", cancel)):
        broker.register_task(function, f"app.tasks:{name}")
    broker.register_task(fail, "app.tasks:fail", retry_on_error=True, max_retries=2, team="ops")


def kick(name: str, /, *args: object, **kwargs: object) -> Kick:
    """Sends one task."""

    async def send(broker: InMemoryBroker) -> None:
        task = broker.find_task(f"app.tasks:{name}")
        assert task is not None
        await task.kiq(*args, **kwargs)

    return send


CASES: dict[str, Kick] = {
    "success": kick("add", a=1, b=2),
    "positional": kick("add", 1, b=2),
    "retry": kick("fail", "bad 'x' жлоб"),
    "requeue": kick("requeue"),
    "reject": kick("reject"),
    "unserialisable": kick("give", "odd"),
    "values": kick("give", "mixed"),
    "long-result": kick("give", "long"),
    "no-result": kick("give", name="nothing"),
    "cancelled": kick("cancel"),
    "params": kick("give", "nothing", nested={"n": 1180591620717411303424, "x": 0.1, "l": [None, True]}, nul="a\0b"),
}


async def sent(server: Taskscope, case: Kick) -> list[Event]:
    """What the client sends for a case."""
    ours = TaskscopeMiddleware(server.url, TOKEN, queue="default", version="1.0.0", flush_interval=3600)
    broker = InMemoryBroker().with_middlewares(ours, SimpleRetryMiddleware())
    ids = itertools.count(1)
    broker.with_id_generator(lambda: f"{next(ids):032x}")
    register(broker)
    await broker.startup()
    await case(broker)
    await shut_down(broker)
    assert not server.refused
    return server.events


def normalise(events: list[Event]) -> list[Event]:
    """Makes what differs from run to run and from machine to machine the same, and keeps what is equal equal."""
    times: dict[str, str] = {}
    for time in sorted({event[field] for event in events for field in ("timestamp", "started_at") if field in event}):
        times[time] = f"2026-11-24T10:30:00.{len(times) * 1000:06}Z"
    for number, event in enumerate(events, 1):
        event["event_id"] = f"web-1:41:9f2a:{number}"
        for field in ("timestamp", "started_at"):
            if field in event:
                event[field] = times[event[field]]
        if "worker" in event:
            event["worker"] = "web-1:41:9f2a"
        if "duration_ms" in event:
            event["duration_ms"] = 1.5
        if "error_traceback" in event:
            event["error_traceback"] = _same_places(event["error_traceback"])
    return events


def _same_places(traceback: str) -> str:
    traceback = re.sub(r'File ".*?([^/\\"]+)", line \d+', r'File "\1", line 1', traceback)
    return re.sub(r"\n +[~^]+(?=\n)", "", traceback)


def text(events: list[Event]) -> str:
    """A batch, an event a line."""
    lines = (json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in events)
    return "[\n" + ",\n".join(lines) + "\n]\n"


@pytest.mark.skipif(
    not version("taskiq").startswith("0.13."), reason="the order of hooks and the places in tracebacks differ"
)
@pytest.mark.parametrize("name", CASES)
async def test_the_client_still_sends_it(taskscope: Taskscope, name: str) -> None:
    got = text(normalise(await sent(taskscope, CASES[name])))
    path = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_FIXTURES"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(got, encoding="utf-8")
    assert got == path.read_text(encoding="utf-8")


def test_there_is_no_fixture_that_nobody_sends() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)
