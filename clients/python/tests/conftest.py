"""What several test files need."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from taskiq import InMemoryBroker

from recording import TOKEN, Taskscope
from taskscope import TaskscopeMiddleware
from taskscope.events import Description, Event
from taskscope.reporter import _reporters as reporters
from taskscope.settings import Settings


@pytest.fixture
def taskscope() -> Iterator[Taskscope]:
    """A server that takes everything."""
    server = Taskscope()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """No thread of one test logs into another."""
    yield
    for reporter in list(reporters):
        reporter.close(0.0)


def settings(url: str, **changes: Any) -> Settings:  # noqa: ANN401
    """Settings for tests: quick, otherwise as by default."""
    values: dict[str, Any] = {
        "url": url,
        "token": TOKEN,
        "buffer_events": 1000,
        "buffer_bytes": 8 << 20,
        "flush_interval": 0.02,
        "batch_events": 500,
        "batch_bytes": 512 * 1024,
        "heartbeat_interval": 5.0,
        "request_timeout": 2.0,
        "shutdown_timeout": 4.0,
    }
    return Settings(**{**values, **changes})


def description(task_id: str = "t1", **changes: Any) -> Description:  # noqa: ANN401
    """What a task is."""
    values: dict[str, Any] = {
        "task_id": task_id,
        "task_name": "app:task",
        "queue": "q",
        "worker": None,
        "max_retries": None,
        "labels": {},
        "params": {"n": 1},
        "size": 100,
    }
    return Description(**{**values, **changes})


async def shut_down(broker: InMemoryBroker) -> None:
    """Waits for what runs in a broker, and shuts it down. TaskIQ 0.11's InMemoryBroker forgot its middlewares then."""
    while broker._running_tasks:
        await broker.wait_all()
        await asyncio.sleep(0)
    await broker.shutdown()
    for middleware in broker.middlewares:
        if isinstance(middleware, TaskscopeMiddleware):
            await middleware.shutdown()


def queued(task_id: str = "t1", **changes: Any) -> Event:  # noqa: ANN401
    """An event as a hook makes it."""
    return Event("task_queued", 1_764_000_000_000_000_000, description(task_id, **changes))
