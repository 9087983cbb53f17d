"""A TaskIQ application for `taskiq worker`, made by what the environment says. The tests produce with the same one."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nats.js.api import ConsumerConfig
from taskiq import (
    AsyncBroker,
    Context,
    InMemoryBroker,
    SimpleRetryMiddleware,
    SmartRetryMiddleware,
    TaskiqDepends,
    TaskiqMiddleware,
)
from taskiq_nats import PullBasedJetStreamBroker
from taskiq_redis import ListQueueBroker, ListRedisScheduleSource, RedisStreamBroker

from taskscope import TaskscopeMiddleware


class Unserialisable:
    def __repr__(self) -> str:
        return "Unserialisable()"


def bare_broker(name: str, kind: str, server: str) -> AsyncBroker:
    """A broker without middlewares, and queues of its own for each name."""
    if kind == "nats":
        return PullBasedJetStreamBroker(
            servers=server,
            subject=f"{name}.tasks",
            stream_name=name,
            # A worker that waits for a message without limit doesn't notice that it is told to stop.
            pull_consume_timeout=0.5,
            consumer_config=ConsumerConfig(durable_name=name, ack_wait=3.0),
        )
    if kind == "redis-stream":
        return RedisStreamBroker(server, queue_name=name, consumer_group_name=name, consumer_id="0", xread_block=500)
    if kind == "redis-list":
        return ListQueueBroker(server, queue_name=name)
    return InMemoryBroker()


def make_broker(name: str, kind: str, server: str, url: str, middlewares: str) -> AsyncBroker:
    """``middlewares`` is their order: ``scope``, ``simple``, ``smart``."""
    known: dict[str, Callable[[], TaskiqMiddleware]] = {
        "scope": lambda: TaskscopeMiddleware(
            url=url, token="s3cret", version="1.2.3", heartbeat_interval=0.5, flush_interval=0.05
        ),
        "simple": lambda: SimpleRetryMiddleware(default_retry_count=3),
        "smart": lambda: SmartRetryMiddleware(
            default_retry_count=3,
            default_delay=1.0,
            schedule_source=ListRedisScheduleSource(os.environ["REDIS_URL"], name),
        ),
    }
    broker = bare_broker(name, kind, server).with_middlewares(*(known[word]() for word in middlewares.split()))
    register(broker)
    return broker


def register(broker: AsyncBroker) -> None:
    """All tasks."""
    for name, function in TASKS.items():
        labels: dict[str, Any] = {}
        if name == "flaky":
            labels = {"retry_on_error": True, "max_retries": 3, "team": "ops"}
        if name == "timed":
            labels = {"timeout": 0.1}
        broker.register_task(function, f"app:{name}", **labels)


async def add(a: int, b: int = 1) -> dict[str, int]:
    """Succeeds."""
    return {"sum": a + b}


async def fail(reason: str) -> None:
    """Fails with a cause."""
    try:
        raise KeyError("cause")
    except KeyError as error:
        raise ValueError(reason) from error


async def flaky() -> None:
    """Fails each time."""
    await asyncio.sleep(0.02)
    raise ConnectionError("flaky")


async def requeued(context: Context = TaskiqDepends()) -> str:  # noqa: B008
    """Puts itself back twice."""
    if int(context.message.labels.get("X-Taskiq-requeue", 0)) < 2:
        await context.requeue()
    return "at last"


async def rejected(context: Context = TaskiqDepends()) -> None:  # noqa: B008
    """Rejects its message."""
    context.reject()


async def odd(items: list[int]) -> Unserialisable:
    """Changes what it was called with, and returns what no JSON can hold."""
    items.append(99)
    return Unserialisable()


async def slow(seconds: float) -> str:
    """Takes its time."""
    await asyncio.sleep(seconds)
    return "slow"


def slow_sync(seconds: float) -> str:
    """The same in a thread."""
    time.sleep(seconds)
    return "slow"


async def swallow() -> None:
    """Is cancelled from within."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(10)


async def timed() -> None:
    """Runs into its time limit."""
    await asyncio.sleep(10)


async def die_once(mark: str) -> str:
    """Kills its worker in the first run."""
    try:
        Path(mark).touch(exist_ok=False)  # noqa: ASYNC240
    except FileExistsError:
        return "survived"
    await asyncio.sleep(1)  # so that the start is told
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it lives on")


#: By name; TaskIQ renames a function when it is registered.
TASKS: dict[str, Callable[..., Any]] = {
    "add": add,
    "fail": fail,
    "flaky": flaky,
    "requeued": requeued,
    "rejected": rejected,
    "odd": odd,
    "slow": slow,
    "slow_sync": slow_sync,
    "swallow": swallow,
    "timed": timed,
    "die_once": die_once,
}

if "APP_NAME" in os.environ:
    broker = make_broker(
        os.environ["APP_NAME"],
        os.environ["APP_BROKER"],
        os.environ["APP_SERVER"],
        os.environ["APP_URL"],
        os.environ["APP_MIDDLEWARES"],
    )
    if os.environ.get("APP_SCHEDULER"):
        from taskiq import TaskiqScheduler

        smart = next(each for each in broker.middlewares if isinstance(each, SmartRetryMiddleware))
        assert smart.schedule_source is not None
        scheduler = TaskiqScheduler(broker, [smart.schedule_source])
