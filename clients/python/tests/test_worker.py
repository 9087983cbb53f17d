"""The middleware in real `taskiq worker` processes, over real brokers."""

import asyncio
import itertools
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from taskiq.kicker import AsyncKicker

import processes
from app import make_broker
from recording import Event, Taskscope, at, wait_for

KINDS = ["nats", "redis-stream", "redis-list"]


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with processes.nats(tmp_path_factory.mktemp("nats")) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with processes.redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


class App:
    """An application: its own queues, workers, and a producer in this process."""

    def __init__(self, kind: str, server: str, redis: str, scope: Taskscope, middlewares: str, folder: Path) -> None:
        self.name = f"app{uuid.uuid4().hex[:8]}"
        self.scope = scope
        self.kind, self.server, self.folder = kind, server, folder
        self.environment = {
            "APP_NAME": self.name,
            "APP_BROKER": kind,
            "APP_SERVER": server,
            "APP_URL": scope.url,
            "APP_MIDDLEWARES": middlewares,
            "REDIS_URL": redis,
        }
        self.middlewares = middlewares
        self.workers: list[processes.Worker] = []

    def work(self, *arguments: str) -> processes.Worker:
        """Starts a worker."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        self.workers.append(processes.Worker(self.environment, log, *arguments))
        return self.workers[-1].wait_until_it_listens()

    def schedule(self) -> processes.Worker:
        """Starts a scheduler."""
        environment = {**self.environment, "APP_SCHEDULER": "1"}
        arguments = ("--update-interval", "1", "--skip-first-run")
        self.workers.append(
            processes.Worker(environment, self.folder / "scheduler.log", *arguments, command="scheduler")
        )
        return self.workers[-1]

    def send(self, *calls: tuple[str, list[Any], dict[str, Any]], **labels: Any) -> list[str]:  # noqa: ANN401
        """Sends tasks from a producer of their own, which reports too, and gives their ids."""

        async def produce() -> list[str]:
            broker = make_broker(self.name, self.kind, self.server, self.scope.url, self.middlewares)
            await broker.startup()
            ids = []
            for name, args, kwargs in calls:
                task = broker.find_task(f"app:{name}")
                assert task is not None
                kicker: AsyncKicker[Any, Any] = AsyncKicker(f"app:{name}", broker, {**task.labels, **labels})
                ids.append((await kicker.kiq(*args, **kwargs)).task_id)
            await broker.shutdown()
            return ids

        return asyncio.run(produce())

    def call(self, name: str, *args: object, **kwargs: object) -> str:
        """Sends one task."""
        return self.send((name, list(args), kwargs))[0]


MakeApp = Callable[..., App]


@pytest.fixture
def make_app(
    nats_url: str, redis_url: str, taskscope: Taskscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeApp]:
    apps: list[App] = []
    monkeypatch.setenv("REDIS_URL", redis_url)

    def make(kind: str = "nats", middlewares: str = "scope") -> App:
        server = nats_url if kind == "nats" else redis_url
        apps.append(App(kind, server, redis_url, taskscope, middlewares, tmp_path))
        return apps[-1]

    yield make
    for app in apps:
        for worker in app.workers:
            worker.kill()


def assert_runs_fit(events: list[Event]) -> None:
    """Each end names its start exactly, and no two attempts overlap."""
    starts = {event["timestamp"] for event in events if event["type"] == "task_started"}
    ends = [event for event in events if event["type"] in ("task_completed", "task_failed")]
    assert {end["started_at"] for end in ends} <= starts
    for earlier, later in itertools.pairwise(ends):
        assert at(earlier["timestamp"]) <= at(later["started_at"])
    for end in ends:
        elapsed = (at(end["timestamp"]) - at(end["started_at"])).total_seconds() * 1000
        assert abs(end["duration_ms"] - elapsed) < 5


@pytest.mark.parametrize("kind", KINDS)
def test_success_and_failure(make_app: MakeApp, taskscope: Taskscope, kind: str) -> None:
    app = make_app(kind)
    app.work("--max-async-tasks", "7")
    good, bad = app.send(("add", [], {"a": 1, "b": 2}), ("fail", ["no luck"], {}), team="ops", weight=5)
    (end,) = taskscope.wait_for_ends(good)
    assert taskscope.kinds(good) == ["queued", "started", "completed"]
    queued, started, _ = taskscope.of(good)
    queue = f"{app.name}.tasks" if kind == "nats" else app.name
    for event in (queued, started, end):
        assert event["task_name"] == "app:add"
        assert event["params"] == {"a": 1, "b": 2}
        assert event["queue"] == queue
        assert event["numbering"] == "taskiq"
    assert queued["labels"] == {"team": "ops", "weight": "5"}
    assert started["labels"] == end["labels"] == {"team": "ops", "weight": 5}
    assert "worker" not in queued, "nobody runs it yet"
    assert started["worker"] == end["worker"]
    assert end["result"] == {"sum": 3}
    assert at(queued["timestamp"]) <= at(started["timestamp"])

    (failed,) = taskscope.wait_for_ends(bad)
    assert failed["params"] == {"args": ["no luck"], "kwargs": {}}
    assert failed["error_type"] == "builtins.ValueError"
    assert failed["error_message"] == "ValueError('no luck')"
    assert "KeyError: 'cause'\n\nThe above exception was the direct cause" in failed["error_traceback"]
    assert "raise ValueError(reason) from error" in failed["error_traceback"], "with the source's lines"
    assert failed["error_traceback"].endswith("ValueError: no luck\n")
    assert "result" not in failed
    assert_runs_fit(taskscope.of(good))
    assert_runs_fit(taskscope.of(bad))

    beat = wait_for(lambda: taskscope.heartbeats)[-1]
    assert beat["worker"] == started["worker"]
    assert beat["queues"] == [queue]
    assert (beat["concurrency"], beat["version"], beat["interval_ms"]) == (7, "1.2.3", 500)
    assert {beat["worker"] for beat in taskscope.heartbeats} == {started["worker"]}, "a producer sends none"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["scope simple", "simple scope"])
def test_retries_tell_the_real_error_whatever_the_order(
    make_app: MakeApp, taskscope: Taskscope, kind: str, order: str
) -> None:
    app = make_app(kind, order)
    app.work()
    task = app.call("flaky")
    ends = taskscope.wait_for_ends(task, 3)
    assert [end["error_message"] for end in ends] == ["ConnectionError('flaky')"] * 3
    assert [end["labels"].get("_retries", 0) for end in ends] == [0, 1, 2]
    assert [end["max_retries"] for end in ends] == [3, 3, 3]
    wait_for(lambda: len(taskscope.of(task)) == 9)
    assert sorted(taskscope.kinds(task)) == ["failed"] * 3 + ["queued"] * 3 + ["started"] * 3
    assert_runs_fit(taskscope.of(task))


@pytest.mark.parametrize("order", ["scope smart", "smart scope"])
def test_retries_through_a_schedule(make_app: MakeApp, taskscope: Taskscope, order: str) -> None:
    app = make_app("redis-stream", order)
    app.work()
    app.schedule()
    task = app.call("flaky")
    ends = taskscope.wait_for_ends(task, 3, seconds=60)
    assert [end["error_type"] for end in ends] == ["builtins.ConnectionError"] * 3
    assert [int(end["labels"].get("_retries", 0)) for end in ends] == [0, 1, 2]
    assert_runs_fit(taskscope.of(task))
    wait_for(lambda: taskscope.kinds(task).count("queued") == 3, "the scheduler tells of what it sends")
    assert {event.get("worker") for event in taskscope.of(task) if event["type"] == "task_queued"} == {None}
    assert len({beat["worker"] for beat in taskscope.heartbeats}) == 1, "a scheduler sends no heartbeats"


def test_requeue_and_reject_are_no_errors_of_the_task(make_app: MakeApp, taskscope: Taskscope) -> None:
    app = make_app("nats", "scope simple")
    app.work()
    again, never = app.send(("requeued", [], {}), ("rejected", [], {}))
    ends = taskscope.wait_for_ends(again, 3)
    assert [end["type"] for end in ends] == ["task_failed", "task_failed", "task_completed"]
    assert [end.get("error_type") for end in ends] == ["taskscope.Requeued", "taskscope.Requeued", None]
    assert [int(end["labels"].get("X-Taskiq-requeue", 0)) for end in ends] == [0, 1, 2]
    assert ends[2]["result"] == "at last"
    wait_for(lambda: taskscope.kinds(again).count("queued") == 3)
    (end,) = taskscope.wait_for_ends(never)
    assert end["error_type"] == "taskscope.Rejected"
    assert "error_traceback" not in end


def test_values_that_no_json_can_hold(make_app: MakeApp, taskscope: Taskscope) -> None:
    app = make_app("redis-list")
    app.work()
    task = app.call("odd", [1, 2])
    (end,) = taskscope.wait_for_ends(task)
    assert end["result"] == "Unserialisable()"
    params = {"args": [[1, 2]], "kwargs": {}}
    assert [event["params"] for event in taskscope.of(task)] == [params] * 3, "as it was called, not as it changed"


def test_cancellation_and_time_limits_end_a_run(make_app: MakeApp, taskscope: Taskscope) -> None:
    app = make_app("redis-list")
    app.work()
    cancelled, late = app.send(("swallow", [], {}), ("timed", [], {}))
    (end,) = taskscope.wait_for_ends(cancelled)
    assert end["error_type"] == "asyncio.exceptions.CancelledError"
    (end,) = taskscope.wait_for_ends(late)
    assert end["error_type"].endswith("TimeoutError")


@pytest.mark.parametrize("kind", KINDS)
def test_sigterm_during_load_loses_no_event(make_app: MakeApp, taskscope: Taskscope, kind: str) -> None:
    app = make_app(kind)
    worker = app.work("--max-async-tasks", "10")
    tasks = app.send(*[("slow", [0.05], {})] * 300)
    wait_for(lambda: sum("completed" in event["type"] for event in taskscope.events) >= 20)
    worker.stop(signal.SIGTERM)
    for task in tasks:
        kinds = taskscope.kinds(task)
        assert kinds in (["queued"], ["queued", "started", "completed"]), "nothing is left running"
    wait_for(lambda: taskscope.heartbeats[-1]["stopping"])
    assert taskscope.heartbeats[-1]["dropped"] == 0
    if kind == "redis-stream":
        return  # what the worker had fetched and not run stays its own for ten minutes
    app.work("--max-async-tasks", "100")
    for task in tasks:
        taskscope.wait_for_ends(task)
    assert len({beat["worker"] for beat in taskscope.heartbeats}) == 2


@pytest.mark.parametrize("name", ["slow", "slow_sync"])
def test_what_still_runs_when_the_worker_ends_is_told(make_app: MakeApp, taskscope: Taskscope, name: str) -> None:
    app = make_app("redis-list")
    worker = app.work("--wait-tasks-timeout", "0.5")
    task = app.call(name, 60.0 if name == "slow" else 3.0)
    wait_for(lambda: "started" in taskscope.kinds(task))
    worker.stop(signal.SIGTERM)
    (end,) = taskscope.wait_for_ends(task)
    if name == "slow":
        assert end["error_type"] == "taskscope.WorkerStopped"
    else:
        # The worker waits for threads, whatever its time limit; the task has its result before the broker is closed.
        assert end["type"] == "task_completed"
    assert taskscope.heartbeats[-1]["stopping"]


def test_a_second_signal_ends_it_in_good_order_too(make_app: MakeApp, taskscope: Taskscope) -> None:
    app = make_app("redis-list")
    worker = app.work("--hardkill-count", "0")
    task = app.call("slow", 60.0)
    wait_for(lambda: "started" in taskscope.kinds(task))
    pid = taskscope.heartbeats[-1]["pid"]
    os.kill(pid, signal.SIGINT)
    wait_for(lambda: "Stopping prefetching" in worker.output)
    os.kill(pid, signal.SIGINT)
    wait_for(lambda: "Hard kill" in worker.output)
    (end,) = taskscope.wait_for_ends(task)
    assert end["type"] == "task_failed"
    assert [beat["stopping"] for beat in taskscope.heartbeats if beat["pid"] == pid][-1]
    worker.stop()


def test_the_server_goes_away_and_comes_back(make_app: MakeApp, taskscope: Taskscope) -> None:
    app = make_app("redis-stream")
    worker = app.work()
    first = app.call("add", 1)
    taskscope.wait_for_ends(first)
    taskscope.close()
    # Another process than the one that is away, so that the producer has nowhere to report to either.
    wait_for(lambda: "takes no events" in worker.output)
    tasks = app.send(*[("add", [n], {}) for n in range(20)])
    wait_for(lambda: worker.output.count("Executing task app:add") == 21)
    assert taskscope.kinds(tasks[0]) == []
    back = Taskscope(taskscope.port)
    for task in tasks:
        (end,) = back.wait_for_ends(task)
        assert end["type"] == "task_completed"
        assert back.kinds(task) == ["started", "completed"]
    assert worker.output.count("takes no events") == 1, "one line an outage"
    wait_for(lambda: "takes events again" in worker.output)
    assert wait_for(lambda: back.heartbeats)[-1]["dropped"] == 0
    back.close()


def test_a_worker_that_is_killed_and_its_task_delivered_again(
    make_app: MakeApp, taskscope: Taskscope, tmp_path: Path
) -> None:
    app = make_app("nats")
    app.work()
    task = app.call("die_once", str(tmp_path / "mark"))
    (end,) = taskscope.wait_for_ends(task, seconds=60)
    assert end["result"] == "survived"
    assert taskscope.kinds(task) == ["queued", "started", "started", "completed"]
    first, second = (event for event in taskscope.of(task) if event["type"] == "task_started")
    assert first["worker"] != second["worker"]
    assert end["started_at"] == second["timestamp"]
    assert end["worker"] == second["worker"]


def test_several_processes_have_names_of_their_own(make_app: MakeApp, taskscope: Taskscope) -> None:
    app = make_app("redis-list")
    app.work("--workers", "3")
    tasks = app.send(*[("slow", [0.2], {})] * 12)
    for task in tasks:
        taskscope.wait_for_ends(task)
    wait_for(lambda: len({beat["worker"] for beat in taskscope.heartbeats}) == 3)
    workers = {event["worker"] for event in taskscope.events if "worker" in event}
    assert workers <= {beat["worker"] for beat in taskscope.heartbeats}
