"""The hooks, in this process: what they tell, and that nothing they meet gets in a task's way."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from taskiq import (
    Context,
    InMemoryBroker,
    SimpleRetryMiddleware,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
)
from taskiq.exceptions import NoResultError

import taskscope as package
from conftest import shut_down
from recording import TOKEN, Taskscope, at, wait_for
from taskscope import TaskscopeMiddleware, broker_facts
from taskscope.freeze import REDACTED


def scope(server: Taskscope, **options: Any) -> TaskscopeMiddleware:  # noqa: ANN401
    return TaskscopeMiddleware(server.url, TOKEN, **{"flush_interval": 0.01, **options})


@asynccontextmanager
async def running(broker: InMemoryBroker) -> AsyncIterator[InMemoryBroker]:
    """A broker from its startup to its shutdown, after which all is reported."""
    await broker.startup()
    yield broker
    await shut_down(broker)


class SlowKick(InMemoryBroker):
    """A broker that takes its time to say that it has a message, which runs meanwhile."""

    async def kick(self, message: Any) -> None:  # noqa: ANN401
        await super().kick(message)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("first", [True, False])
async def test_attempts_never_overlap_even_where_sending_is_slow(taskscope: Taskscope, first: bool) -> None:
    ours, retry = scope(taskscope), SimpleRetryMiddleware()
    broker = SlowKick().with_middlewares(*([ours, retry] if first else [retry, ours]))

    @broker.task("flaky", retry_on_error=True, max_retries=3)
    async def flaky() -> None:
        await asyncio.sleep(0.03)
        raise ValueError("real")

    async with running(broker):
        task = await flaky.kiq()
    ends = taskscope.wait_for_ends(task.task_id, 3)
    assert [end["error_message"] for end in ends] == ["ValueError('real')"] * 3
    for earlier, later in zip(ends[:-1], ends[1:], strict=True):  # noqa: RUF007
        assert at(earlier["timestamp"]) <= at(later["started_at"])
    for end in ends:
        assert end["duration_ms"] >= 30
    queued = [event for event in taskscope.of(task.task_id) if event["type"] == "task_queued"]
    starts = [event for event in taskscope.of(task.task_id) if event["type"] == "task_started"]
    for before, after in zip(queued, starts, strict=True):
        assert at(before["timestamp"]) <= at(after["timestamp"]), "queued before it started"


async def test_a_task_that_sends_itself_again_has_not_ended_then(taskscope: Taskscope) -> None:
    broker = InMemoryBroker().with_middlewares(scope(taskscope))

    @broker.task("again")
    async def again(more: int) -> None:
        if more:
            await again.kicker().with_task_id("same").kiq(more - 1)
        await asyncio.sleep(0.05)
        raise ValueError(more)

    async with running(broker):
        await again.kicker().with_task_id("same").kiq(1)
        await asyncio.sleep(0.01)
    for end in taskscope.wait_for_ends("same", 2):
        assert end["duration_ms"] >= 40


async def test_two_runs_of_one_task_id_at_once(taskscope: Taskscope) -> None:
    """As when a broker delivers again what takes long."""
    broker = InMemoryBroker().with_middlewares(scope(taskscope))

    @broker.task("sleepy")
    async def sleepy(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async with running(broker):
        for seconds in (0.1, 0.02):
            await sleepy.kicker().with_task_id("same").kiq(seconds)
    ends = taskscope.wait_for_ends("same", 2)
    starts = sorted(event["timestamp"] for event in taskscope.of("same") if event["type"] == "task_started")
    assert [(end["result"], end["started_at"]) for end in ends] == [(0.02, starts[1]), (0.1, starts[0])]


async def test_runs_within_runs(taskscope: Taskscope) -> None:
    broker = InMemoryBroker(await_inplace=True).with_middlewares(scope(taskscope))

    @broker.task("outer")
    async def outer(depth: int) -> int:
        if depth:
            with contextlib.suppress(ZeroDivisionError):
                await outer.kicker().with_task_id(f"d{depth - 1}").kiq(depth - 1)
        if depth == 1:
            raise ZeroDivisionError
        return depth

    async with running(broker):
        await outer.kicker().with_task_id("d3").kiq(3)
        await outer.kicker().with_task_id("e0").kiq(0)
    for task in ("d0", "d1", "d2", "d3", "e0"):
        (end,) = taskscope.wait_for_ends(task)
        assert taskscope.kinds(task)[:2] == ["queued", "started"]
        assert end["type"] == ("task_failed" if task == "d1" else "task_completed")
    times = [at(taskscope.wait_for_ends(task)[0]["timestamp"]) for task in ("d0", "d1", "d2", "d3")]
    assert times == sorted(times)


async def test_a_chain_of_tasks_leaves_nothing_behind(taskscope: Taskscope) -> None:
    ours = scope(taskscope)
    broker = InMemoryBroker().with_middlewares(ours)
    runs: list[weakref.ref[Any]] = []

    class Thing:
        pass

    @broker.task("link")
    async def link(more: int) -> None:
        run = ours._run.get()
        assert run is not None
        thing = Thing()
        run.description.params = {"thing": thing}  # type: ignore[dict-item]
        runs.append(weakref.ref(thing))
        if more:
            await link.kiq(more - 1)

    async with running(broker):
        await link.kiq(200)
    gc.collect()
    assert len(runs) == 201
    assert sum(run() is not None for run in runs) <= 2
    assert not ours._running


async def test_requeue_and_no_result(taskscope: Taskscope) -> None:
    broker = InMemoryBroker().with_middlewares(SimpleRetryMiddleware(default_retry_label=True), scope(taskscope))

    @broker.task("requeue")
    async def requeue(context: Context = TaskiqDepends()) -> None:  # noqa: B008
        if "X-Taskiq-requeue" not in context.message.labels:
            await context.requeue()
        raise NoResultError

    async with running(broker):
        task = await requeue.kiq()
        await asyncio.sleep(0.02)
    first, second = taskscope.wait_for_ends(task.task_id, 2)
    assert first["error_type"] == "taskscope.Requeued"
    assert "put back into its queue" in first["error_message"]
    assert (first["labels"], second["labels"]) == ({}, {"X-Taskiq-requeue": "1"})
    assert second["error_type"] == "taskiq.exceptions.NoResultError", "the task raised it itself"
    assert second["error_message"] == "taskiq.exceptions.NoResultError()"


class Failing(TaskiqMiddleware):
    """A middleware with an error of its own."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.hook = hook

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        if self.hook == "pre_execute":
            raise LookupError("their pre_execute")
        return message

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:  # noqa: ARG002
        if self.hook == "post_execute":
            raise LookupError("their post_execute")


@pytest.mark.parametrize("hook", ["pre_execute", "post_execute"])
async def test_an_error_of_another_middleware_ends_the_run(
    taskscope: Taskscope, hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    # The order of `post_execute` was turned round in TaskIQ 0.12.
    before = [Failing(hook)] if hook == "post_execute" else []
    broker = InMemoryBroker().with_middlewares(*before, scope(taskscope), Failing(hook))

    @broker.task("fine")
    async def fine() -> None: ...

    await broker.startup()
    task = await fine.kiq()
    (end,) = await asyncio.to_thread(taskscope.wait_for_ends, task.task_id)
    assert (end["type"], end["error_message"]) == ("task_failed", f"LookupError('their {hook}')")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert "exception was never retrieved" in caplog.text, "asyncio still tells of it"
    await broker.shutdown()


async def test_a_cancelled_run_has_ended(taskscope: Taskscope) -> None:
    broker = InMemoryBroker().with_middlewares(scope(taskscope))

    @broker.task("sleepy")
    async def sleepy() -> None:
        await asyncio.sleep(100)

    await broker.startup()
    task = await sleepy.kiq()
    await asyncio.sleep(0.02)
    for each in broker._running_tasks:
        each.cancel()
    (end,) = await asyncio.to_thread(taskscope.wait_for_ends, task.task_id)
    assert end["error_type"] == "asyncio.exceptions.CancelledError"
    await broker.shutdown()


async def test_params_are_those_of_the_call(taskscope: Taskscope) -> None:
    broker = InMemoryBroker().with_middlewares(scope(taskscope))

    @broker.task("change")
    async def change(deep: dict[str, list[int]], number: int = 0, **rest: Any) -> None:  # noqa: ANN401, ARG001
        deep["a"].append(number)
        deep["b"] = []

    async with running(broker):
        task = await change.kiq({"a": [1]}, number="5", extra=None)  # type: ignore[call-overload]
        positional = await change.kiq({"a": []})
        named = await change.kiq(deep={"a": []}, number=1)
    expected = {"args": [{"a": [1]}], "kwargs": {"number": "5", "extra": None}}
    assert [event["params"] for event in taskscope.of(task.task_id)] == [expected] * 3
    assert taskscope.of(positional.task_id)[0]["params"] == {"args": [{"a": []}], "kwargs": {}}
    assert taskscope.of(named.task_id)[0]["params"] == {"deep": {"a": []}, "number": 1}


async def test_what_shall_not_be_sent_is_not(taskscope: Taskscope) -> None:
    hiding = scope(taskscope, redact=["Password", "token"])
    silent = scope(taskscope, send_params=False, send_results=False)
    for ours in (hiding, silent):
        broker = InMemoryBroker().with_middlewares(ours)

        @broker.task("login")
        async def login(user: str, password: str, token: str = "", **more: Any) -> dict[str, str]:  # noqa: ANN401, ARG001
            return {"user": user, "token": "t2"}

        async with running(broker):
            task = await login.kiq("ann", "secret", token="t1", nested=[{"PASSWORD": "p"}])
        events = taskscope.of(task.task_id)
        if ours is hiding:
            args, kwargs = ["ann", REDACTED], {"token": REDACTED, "nested": [{"PASSWORD": REDACTED}]}
            assert [event["params"] for event in events] == [{"args": args, "kwargs": kwargs}] * 3
            assert events[-1]["result"] == {"user": "ann", "token": REDACTED}
        else:
            assert not any("params" in event or "result" in event for event in events)


async def test_labels_name_the_queue_and_the_limit(taskscope: Taskscope) -> None:
    broker = InMemoryBroker().with_middlewares(scope(taskscope, queue="given"))

    @broker.task("labelled")
    async def labelled() -> None: ...

    @broker.task("overloaded")
    async def overloaded() -> None: ...

    large = {f"label{n}": "x" * 100 for n in range(200)}
    async with running(broker):
        one = await labelled.kicker().with_labels(queue_name="high", max_retries=5).kiq()
        two = await overloaded.kicker().with_labels(**large, _retries=2, max_retries="many").kiq()
    assert {(event["queue"], event["max_retries"]) for event in taskscope.of(one.task_id)} == {("high", 5)}
    for event in taskscope.of(two.task_id):
        assert event["queue"] == "given"
        assert "max_retries" not in event
        assert int(event["labels"]["_retries"]) == 2, "the counters are kept where labels are cut"
        assert len(event["labels"]) < 100


async def test_a_clock_that_is_set_back_gives_no_end_before_its_start(
    taskscope: Taskscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = InMemoryBroker().with_middlewares(scope(taskscope))

    @broker.task("tick")
    async def tick() -> None:
        now = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now - 3_600_000_000_000)

    async with running(broker):
        task = await tick.kiq()
    monkeypatch.undo()
    (end,) = taskscope.wait_for_ends(task.task_id)
    assert end["timestamp"] == end["started_at"]
    assert not taskscope.refused


async def test_an_error_of_ours_stays_ours(
    taskscope: Taskscope, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = scope(taskscope)
    broker = InMemoryBroker().with_middlewares(ours)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    @broker.task("fine")
    async def fine(bad: bool) -> str:
        if bad:
            raise ValueError("theirs")
        return "fine"

    monkeypatch.setattr(ours._describer, "describe", fail)
    monkeypatch.setattr(ours, "_find", fail)
    async with running(broker):
        for bad in (False, True) * 3:
            task = await fine.kiq(bad)
            result = await task.wait_result()
            assert result.is_err == bad
    assert caplog.text.count("which is logged only once") == 1


async def test_without_a_url_nothing_happens(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("TASKSCOPE_URL", raising=False)
    broker = InMemoryBroker().with_middlewares(TaskscopeMiddleware())

    @broker.task("fine")
    async def fine() -> str:
        return "fine"

    async with running(broker):
        assert (await (await fine.kiq()).wait_result()).return_value == "fine"
    assert [record.levelname for record in caplog.records if record.name == "taskscope"] == ["WARNING"]


async def test_url_and_token_may_come_from_the_environment(
    taskscope: Taskscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKSCOPE_URL", taskscope.url)
    monkeypatch.setenv("TASKSCOPE_TOKEN", TOKEN)
    broker = InMemoryBroker().with_middlewares(TaskscopeMiddleware())

    @broker.task("fine")
    async def fine() -> None: ...

    async with running(broker):
        task = await fine.kiq()
    assert taskscope.kinds(task.task_id) == ["queued", "started", "completed"]


def test_one_middleware_through_several_loops(taskscope: Taskscope) -> None:
    ours = scope(taskscope)
    workers = set()
    for _ in range(3):
        broker = InMemoryBroker().with_middlewares(ours)

        @broker.task("fine")
        async def fine() -> None: ...

        async def main(broker: InMemoryBroker, fine: Any) -> str:  # noqa: ANN401
            async with running(broker):
                task_id: str = (await fine.kiq()).task_id
                return task_id

        task = asyncio.run(main(broker, fine))
        assert taskscope.kinds(task) == ["queued", "started", "completed"]
        workers.add(taskscope.of(task)[1]["worker"])
    assert len(workers) == 3, "each life has a name of its own"
    assert [beat["stopping"] for beat in taskscope.heartbeats].count(True) == 3


async def test_two_middlewares_report_to_two_servers(taskscope: Taskscope) -> None:
    other = Taskscope()
    broker = InMemoryBroker().with_middlewares(scope(taskscope), scope(other))

    @broker.task("fine")
    async def fine() -> None: ...

    async with running(broker):
        task = await fine.kiq()
    for server in (taskscope, other):
        assert server.kinds(task.task_id) == ["queued", "started", "completed"]
    other.close()


async def test_a_producer_sends_no_heartbeats(taskscope: Taskscope) -> None:
    class Producer(InMemoryBroker):
        async def kick(self, message: Any) -> None:  # noqa: ANN401
            """Sends it elsewhere."""

    ours = scope(taskscope, heartbeat_interval=0.1)
    broker = Producer().with_middlewares(ours)

    @broker.task("fine")
    async def fine() -> None: ...

    await broker.startup()
    before = taskscope.requests
    task = await fine.kiq()
    await asyncio.to_thread(wait_for, lambda: taskscope.kinds(task.task_id) == ["queued"])
    await asyncio.sleep(0.3)
    await broker.shutdown()
    assert taskscope.requests == before + 1
    assert not taskscope.heartbeats


def test_nothing_starts_before_it_is_needed(taskscope: Taskscope) -> None:
    before = threading.active_count()
    broker = InMemoryBroker().with_middlewares(scope(taskscope))
    asyncio.run(broker.startup())
    assert threading.active_count() == before
    asyncio.run(broker.shutdown())


def _child(ours: TaskscopeMiddleware, task_id: str) -> None:
    ours.post_send(TaskiqMessage(task_id=task_id, task_name="child", labels={}, args=[], kwargs={}))


def test_a_fork_reports_its_own_and_only_its_own(taskscope: Taskscope) -> None:
    """A child of ``multiprocessing`` ends without ``atexit``; its events arrive all the same, and none twice."""
    ours = scope(taskscope, flush_interval=0.5)
    ours.set_broker(InMemoryBroker())
    _child(ours, "parent")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_child, args=(ours, f"child{n}")) for n in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
    wait_for(lambda: len(taskscope.events) == 4)
    assert {event["task_id"] for event in taskscope.events} == {"parent", "child0", "child1", "child2"}
    assert sum(len(batch) for batch in taskscope.batches) == 4
    assert len({event["event_id"].rsplit(":", 1)[0] for event in taskscope.events}) == 4


def test_a_fork_within_a_task_does_not_end_it(taskscope: Taskscope) -> None:
    broker = InMemoryBroker().with_middlewares(scope(taskscope))

    @broker.task("forks")
    async def forks() -> str:
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0,))
        child.start()
        await asyncio.to_thread(child.join)
        if (pid := os.fork()) == 0:
            os._exit(0)
        await asyncio.to_thread(os.waitpid, pid, 0)
        return "done"

    async def main() -> str:
        async with running(broker):
            return (await forks.kiq()).task_id

    task = asyncio.run(main())
    assert taskscope.kinds(task) == ["queued", "started", "completed"]


SCRIPT = """
import asyncio, sys
sys.path[:0] = {path!r}
from taskiq import InMemoryBroker
from taskscope import TaskscopeMiddleware

broker = InMemoryBroker().with_middlewares(TaskscopeMiddleware({url!r}, {token!r}, flush_interval=60))

@broker.task("script")
async def script(seconds: float) -> None:
    await asyncio.sleep(seconds)

async def main() -> None:
    await script.kicker().with_task_id("quick").kiq(0)
    await script.kicker().with_task_id("endless").kiq(1000)
    await asyncio.sleep(0.1)
    {end}

{run}
"""


@pytest.mark.parametrize("way", ["end", "exit", "error", "loop left open"])
def test_a_process_that_ends_without_a_shutdown_has_told_all(taskscope: Taskscope, way: str) -> None:
    end = {"exit": "sys.exit(3)", "error": "raise ValueError"}.get(way, "pass")
    run = "asyncio.new_event_loop().run_until_complete(main())" if way == "loop left open" else "asyncio.run(main())"
    path = [str(Path(__file__).parent.parent / "src")]
    script = SCRIPT.format(path=path, url=taskscope.url, token=TOKEN, end=end, run=run)
    ended = subprocess.run([sys.executable, "-c", script], timeout=30, check=False, capture_output=True)
    assert ended.returncode == {"exit": 3, "error": 1}.get(way, 0), ended.stderr
    assert taskscope.kinds("quick") == ["queued", "started", "completed"]
    assert taskscope.kinds("endless") == ["queued", "started", "failed"]
    cause = taskscope.of("endless")[-1]["error_type"]
    assert cause == ("taskscope.WorkerStopped" if way == "loop left open" else "asyncio.exceptions.CancelledError")
    assert taskscope.heartbeats[-1]["stopping"]


def test_what_brokers_say_of_their_queues() -> None:
    class Named:
        name = "by-name"

    class Broker:
        def __init__(self, **attributes: object) -> None:
            self.__dict__.update(attributes)

    cases: list[tuple[dict[str, object], list[str]]] = [
        ({}, []),
        ({"queue_name": "q"}, ["q"]),
        ({"queue_name": "q", "additional_streams": {"s": ">", "q": 0}}, ["q", "s"]),
        ({"subject": "s", "stream_name": "stream", "queue": "group"}, ["s"]),
        ({"_task_queues": [Named(), "other"]}, ["by-name", "other"]),
        ({"kafka_topic": Named()}, ["by-name"]),
        ({"queue_name": None, "channel_name": "c"}, ["c"]),
        ({"topic": object()}, []),
    ]
    for attributes, names in cases:
        assert broker_facts.queue_names(Broker(**attributes)) == names
    assert broker_facts.concurrency() is None


def test_the_package_can_be_loaded_without_taskiq() -> None:
    path = str(Path(__file__).parent.parent / "src")
    script = f"""
import sys
sys.path.insert(0, {path!r})
sys.modules["taskiq"] = None
import taskscope
assert taskscope.__version__
try:
    taskscope.TaskscopeMiddleware
except ImportError as error:
    assert "pip install 'taskscope[taskiq]'" in str(error), error
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing  # noqa: B018


def test_logging_is_left_to_the_application() -> None:
    assert logging.getLogger("taskscope").level == logging.NOTSET
    assert not logging.getLogger("taskscope").handlers
