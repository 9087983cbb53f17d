"""Events through a real NATS server: delivered is what its stream has, and nothing else."""

import asyncio
import json
import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from conftest import queued, settings
from recording import Taskscope, wait_for
from taskscope.nats_connection import NatsConnection
from taskscope.reporter import Reporter
from test_sender import free_port, make, quick_pauses  # noqa: F401

PROGRAM = shutil.which("nats-server", path="/usr/sbin:/usr/local/bin:/usr/bin:/bin") or "nats-server"


class Nats:
    """A server with JetStream, which can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [PROGRAM, "-js", "-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self.directory)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def answers(self) -> bool:
        try:
            self.ask(lambda js: js.account_info())
        except Exception:
            return False
        return True

    def ask(self, question: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        async def asked() -> Any:  # noqa: ANN401
            client = await nats.connect(self.url, allow_reconnect=False, connect_timeout=1)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asked())

    def make_stream(self) -> None:
        self.ask(lambda js: js.add_stream(name="TASKSCOPE", subjects=["taskscope.events.>"]))

    def events(self) -> list[dict[str, Any]]:
        """What the stream has."""

        async def read(js: Any) -> list[dict[str, Any]]:  # noqa: ANN401
            state = (await js.stream_info("TASKSCOPE")).state
            messages = [await js.get_msg("TASKSCOPE", n) for n in range(1, state.messages + 1)]
            return [event for message in messages for event in json.loads(message.data)]

        events: list[dict[str, Any]] = self.ask(read)
        return events


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nats]:
    server = Nats(tmp_path)
    yield server
    server.kill()


Make = Callable[..., Reporter]


def test_events_are_delivered_once_a_stream_has_them(server: Nats, make: Make, caplog: Any) -> None:  # noqa: F811, ANN401
    reporter = make(settings("", nats_url=server.url))
    reporter.report(queued("first"))
    wait_for(lambda: "no stream of NATS takes the subject" in caplog.text)
    assert reporter.buffered == 1, "a message that no stream takes isn't delivered"
    server.make_stream()
    wait_for(lambda: reporter.buffered == 0)
    for n in range(300):
        reporter.report(queued(f"t{n}"))
    wait_for(lambda: reporter.buffered == 0)
    assert [event["task_id"] for event in server.events()] == ["first", *(f"t{n}" for n in range(300))]
    assert reporter.dropped == 0


def test_a_server_that_dies_loses_nothing_and_bounds_hold(
    server: Nats,
    make: Make,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "taskscope")
    server.make_stream()
    reporter = make(settings("", nats_url=server.url, buffer_events=20))
    reporter.report(queued("before"))
    wait_for(lambda: reporter.buffered == 0)
    server.kill()
    began = time.monotonic()
    for n in range(25):
        reporter.report(queued(f"t{n}"))
    assert time.monotonic() - began < 1.0, "nothing waits for NATS"
    assert (reporter.buffered, reporter.dropped) == (20, 5)
    wait_for(lambda: "takes no events" in caplog.text)
    server.start()
    wait_for(lambda: reporter.buffered == 0)
    assert [event["task_id"] for event in server.events()] == ["before", *(f"t{n}" for n in range(20))]


def test_a_repetition_is_kept_once(server: Nats) -> None:
    server.make_stream()
    connection = NatsConnection(server.url, "taskscope.events.tasks", None, None)
    assert [connection.publish(body, 5.0).status for body in (b'[{"n": 1}]', b'[{"n": 1}]', b'[{"n": 2}]')] == [202] * 3
    assert connection.publish(b"x" * (2 << 20), 5.0).status == 413
    connection.close()
    assert server.events() == [{"n": 1}, {"n": 2}]


def test_heartbeats_go_by_http(server: Nats, taskscope: Taskscope, make: Make) -> None:  # noqa: F811
    server.make_stream()
    reporter = make(settings(taskscope.url, nats_url=server.url))
    reporter.send_heartbeats(lambda: {"worker": "w", "started_at": "2026-11-20T00:00:00Z", "running": 0})
    reporter.report(queued("t1"))
    wait_for(lambda: reporter.buffered == 0 and taskscope.requests >= 1)
    assert taskscope.events == []
    assert [event["task_id"] for event in server.events()] == ["t1"]


@pytest.mark.parametrize(
    ("url", "subject"), [("http://x", "a.b"), ("nats://", "a.b"), ("nats://x", "a.>"), ("nats://x", "")]
)
def test_what_makes_no_sense_is_said_at_once(make: Make, url: str, subject: str) -> None:  # noqa: F811
    with pytest.raises(ValueError, match="NATS"):
        make(settings("", nats_url=url, nats_subject=subject))
