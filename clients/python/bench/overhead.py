"""What reporting costs a task: seconds added to each, in this process, with an InMemoryBroker.

Measured are no middleware, TaskscopeMiddleware, TaskiqAdminMiddleware and DashboardMiddleware, with a server that is
up (`--url`, or a small one in a process of its own), slow (answers after a second) and gone (nobody listens). Each
round measures all of them, in an order that moves on from round to round; the medians of the rounds are printed as one
JSON object, in microseconds a task.

    python bench/overhead.py --url http://127.0.0.1:3000 --token TOKEN
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import logging
import multiprocessing
import platform
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from multiprocessing.connection import Connection
from typing import Any

from taskiq import InMemoryBroker, TaskiqMiddleware

Make = Callable[[str, str], TaskiqMiddleware | None]


def _none(_url: str, _token: str) -> None:
    return None


def _taskscope(url: str, token: str) -> TaskiqMiddleware:
    from taskscope import TaskscopeMiddleware

    return TaskscopeMiddleware(url, token)


def _admin(url: str, token: str) -> TaskiqMiddleware:
    from taskiq.middlewares.taskiq_admin_middleware import TaskiqAdminMiddleware

    return TaskiqAdminMiddleware(url=url, api_token=token)


def _dashboard(url: str, token: str) -> TaskiqMiddleware:
    from taskiq_dashboard import DashboardMiddleware

    return DashboardMiddleware(url=url, api_token=token)


MAKE: dict[str, Make] = {"none": _none, "taskscope": _taskscope, "taskiq-admin": _admin, "taskiq-dashboard": _dashboard}


def serve(channel: "Connection", delay: float) -> None:
    """A server that accepts everything, after a while."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(delay)
            native = self.path.startswith("/api/v1/")
            text = b'{"accepted":1,"rejected":0,"results":[]}'
            with contextlib.suppress(OSError):
                self.send_response(202 if native else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 1024

        def handle_error(self, *_: object) -> None:
            """A client that gives up breaks its connection."""

    server = Server(("127.0.0.1", 0), Handler)
    channel.send(server.server_port)
    server.serve_forever()


@contextlib.contextmanager
def server(delay: float) -> Iterator[str]:
    """That server in a process of its own, so that its work is not counted."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, delay), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


def gone() -> str:
    """Where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def measure(make: Make, url: str, token: str, tasks: int) -> dict[str, float]:
    """Seconds a task: until all had run, and of the process's own time until all was reported or given up."""
    broker = InMemoryBroker(max_async_tasks=100, max_stored_results=10)
    middleware = make(url, token)
    if middleware is not None:
        broker.add_middlewares(middleware)

    async def work(number: int, text: str, items: list[int]) -> dict[str, object]:  # noqa: ARG001
        await asyncio.sleep(0)
        return {"number": number, "ok": True}

    task = broker.register_task(work, "bench:work", team="ops", priority=5)
    await broker.startup()
    for number in range(20):
        await task.kiq(number, text="warm", items=[1])
    while broker._running_tasks:
        await broker.wait_all()
        await asyncio.sleep(0)
    gc.collect()
    cpu, start = time.process_time(), time.perf_counter()
    for number in range(tasks):
        await task.kiq(number, text="some text of a usual length", items=[1, 2, 3, 4, 5])
        if number % 50 == 49:
            while len(broker._running_tasks) > 50:  # noqa: ASYNC110
                await asyncio.sleep(0)
    while broker._running_tasks:
        await broker.wait_all()
        await asyncio.sleep(0)
    wall = time.perf_counter() - start
    stop = time.perf_counter()
    await broker.shutdown()
    shutdown = time.perf_counter() - stop
    return {
        "wall_us": wall / tasks * 1e6,
        "cpu_us": (time.process_time() - cpu) / tasks * 1e6,
        "shutdown_s": shutdown,
    }


def hooks(url: str, token: str) -> dict[str, float]:
    """Median microseconds of each hook of TaskscopeMiddleware, called by itself."""
    from taskiq import TaskiqMessage, TaskiqResult

    from taskscope import TaskscopeMiddleware

    middleware = TaskscopeMiddleware(url, token, buffer_events=1_000_000, buffer_bytes=1 << 40)
    middleware.set_broker(InMemoryBroker())
    times: dict[str, list[float]] = {
        name: [] for name in ("pre_send", "post_send", "pre_execute", "on_error", "post_execute")
    }

    def timed(name: str, hook: Callable[..., Any], *arguments: object) -> None:
        start = time.perf_counter_ns()
        hook(*arguments)
        times[name].append((time.perf_counter_ns() - start) / 1000)

    async def one(number: int) -> None:
        kwargs = {"number": number, "text": "some text of a usual length", "items": [1, 2, 3, 4, 5]}
        labels = {"team": "ops", "priority": 5}
        message = TaskiqMessage(task_id=f"{number:032x}", task_name="bench:work", labels=labels, args=[], kwargs=kwargs)
        result: TaskiqResult[Any] = TaskiqResult(is_err=False, return_value={"ok": True}, execution_time=0.0)
        timed("pre_send", middleware.pre_send, message)
        timed("post_send", middleware.post_send, message)
        timed("pre_execute", middleware.pre_execute, message)
        if number % 5 == 0:
            try:
                raise ValueError(number)
            except ValueError as error:
                timed("on_error", middleware.on_error, message, result, error)
            middleware.post_execute(message, result)
        else:
            timed("post_execute", middleware.post_execute, message, result)

    async def all_of_them() -> None:
        for number in range(5000):
            await asyncio.create_task(one(number))
            if number % 100 == 99:
                await asyncio.sleep(0.005)
        await middleware.shutdown()

    asyncio.run(all_of_them())
    return {name: round(statistics.median(values), 2) for name, values in times.items()}


def rounds(urls: dict[str, str], token: str, count: int, tasks: int) -> dict[str, dict[str, dict[str, float]]]:
    """Medians by state of the server and middleware."""
    cases = [("up", "none")] + [(state, name) for state in urls for name in MAKE if name != "none"]
    values: dict[tuple[str, str], list[dict[str, float]]] = {case: [] for case in cases}
    for number in range(count):
        turn = number % len(cases)
        for state, name in itertools.chain(cases[turn:], cases[:turn]):
            values[state, name].append(asyncio.run(measure(MAKE[name], urls[state], token, tasks)))
    result: dict[str, dict[str, dict[str, float]]] = {}
    for (state, name), measured in values.items():
        base = values["up", "none"]
        medians = {key: statistics.median(each[key] for each in measured) for key in measured[0]}
        added = {
            key: statistics.median(mine[key] - theirs[key] for mine, theirs in zip(measured, base, strict=True))
            for key in ("wall_us", "cpu_us")
        }
        result.setdefault(state, {})[name] = {
            **{key: round(value, 3) for key, value in medians.items()},
            "added_wall_us": round(added["wall_us"], 1),
            "added_cpu_us": round(added["cpu_us"], 1),
        }
    return result


def main() -> None:
    """Measures, and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a Taskscope that is up; by default a small server of the benchmark's own")
    parser.add_argument("--token", default="", help="its ingest token")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tasks", type=int, default=1000, help="tasks a round")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        up = options.url or stack.enter_context(server(0.0))
        urls = {"up": up, "slow": stack.enter_context(server(1.0)), "gone": gone()}
        report = {
            "python": platform.python_version(),
            "taskiq": version("taskiq"),
            "tasks": options.tasks,
            "rounds": options.rounds,
            "hooks_us": hooks(urls["up"], options.token),
            "servers": rounds(urls, options.token, options.rounds, options.tasks),
        }
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
