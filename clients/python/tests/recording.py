"""An HTTP server that behaves as Taskscope does at its door, and remembers what it was told.

With ``TASKSCOPE_TEST_URL`` (and ``TASKSCOPE_TEST_TOKEN``) it passes every batch and heartbeat on to a real Taskscope
and answers with that one's answer, so that the same tests hold the client against the real program.
"""

import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "s3cret"
REAL_URL = os.environ.get("TASKSCOPE_TEST_URL")

Event = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
#: Looks at a request's path and body and may answer in place of the server; nothing means that it shouldn't.
Behaviour = Callable[[str, bytes], Answer | None]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_KINDS = {"task_queued", "task_started", "task_completed", "task_failed"}
_FIELDS = {
    "type", "task_id", "task_name", "timestamp", "event_id", "numbering", "attempt", "started_at", "max_retries",
    "queue", "worker", "labels", "params", "duration_ms", "error_type", "error_message", "error_traceback", "result",
}  # fmt: skip
_BEAT_FIELDS = {
    "worker", "host", "pid", "started_at", "client", "version", "queues", "concurrency", "running", "interval_ms",
    "buffered", "dropped", "stopping",
}  # fmt: skip


def wait_for(condition: Callable[[], Any], what: str = "", seconds: float = 30.0) -> Any:  # noqa: ANN401
    """What the condition gives, once it is true; a failure with its last state after so many seconds."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, f"not within {seconds} s: {what or condition}"
        time.sleep(0.01)
    return value


def at(text: str) -> datetime:
    """A timestamp as the client writes it."""
    assert _TIME.fullmatch(text), text
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def refusal(event: Event) -> str | None:
    """Why Taskscope would refuse an event; the client's own ones never give a reason."""
    if unknown := set(event) - _FIELDS:
        return f"unknown fields {unknown}"
    if event.get("type") not in _KINDS:
        return f"type {event.get('type')!r}"
    names = [event.get(name) for name in ("task_id", "task_name", "queue", "worker", "error_type")]
    if any(name is not None and (not name or len(name.encode()) > 1024 or "\0" in name) for name in names):
        return f"a bad name in {names}"
    if not event.get("task_id") or not event.get("task_name"):
        return "task_id and task_name must be given"
    if at(event["timestamp"]) > datetime.now(timezone.utc) + timedelta(days=1):
        return "timestamp must not be more than a day ahead"
    if "started_at" in event and at(event["started_at"]) > at(event["timestamp"]):
        return "started_at must not be after timestamp"
    if event.get("duration_ms", 0) < 0:
        return "duration_ms must be 0 or more"
    limits = {"params": 64, "labels": 64, "result": 4, "error_message": 64, "error_traceback": 64}
    for name, kib in limits.items():
        if len(json.dumps(event.get(name), ensure_ascii=False, separators=(",", ":")).encode()) > kib * 1024:
            return f"{name} is longer than {kib} KiB"
    return None


class Taskscope:
    """The server. ``behaviour`` may be exchanged at any time."""

    def __init__(self, port: int = 0, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour
        self.lock = threading.Lock()
        #: Accepted events by their id, in the order of their first arrival.
        self._events: dict[str, Event] = {}
        self.heartbeats: list[dict[str, Any]] = []
        self.batches: list[list[Event]] = []
        self.refused: list[tuple[Event, str]] = []
        self.requests = 0
        self.connections = 0
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                recorder.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                recorder.requests += 1
                answer = (recorder.behaviour and recorder.behaviour(self.path, body)) or recorder.answer(
                    self.path, body, self.headers.get("access-token")
                )
                status, headers, text = answer
                try:
                    self.send_response(status)
                    for name, value in {"content-length": str(len(text)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(text)
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A client that is killed breaks its connection."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nobody listens any more;

        connections that are open go on until their next request, as those of a process would not.
        """
        self.behaviour = lambda _path, _body: (503, {"connection": "close"}, b"")
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, body: bytes, token: str | None) -> Answer:
        """What Taskscope would say."""
        if token != TOKEN:
            return 401, {}, b'{"error": "the token is wrong"}'
        if path == "/api/v1/heartbeats":
            beat = json.loads(body, parse_constant=_no_constant)
            assert set(beat) <= _BEAT_FIELDS, beat
            with self.lock:
                self.heartbeats.append(beat)
            return _forward(path, body) or (202, {}, b"{}")
        if path != "/api/v1/events":
            return 404, {}, b"{}"
        try:
            events = json.loads(body, parse_constant=_no_constant)
            assert isinstance(events, list)
        except (ValueError, AssertionError) as error:
            return 400, {}, json.dumps({"error": f"the body must be a JSON array of events: {error}"}).encode()
        return self._accept(events, _forward(path, body))

    def _accept(self, events: list[Event], real: Answer | None) -> Answer:
        errors = [refusal(event) for event in events]
        if real is not None:
            said = json.loads(real[2])
            assert said.get("rejected", len(events)) == sum(error is not None for error in errors), said
        with self.lock:
            self.batches.append(events)
            for event, error in zip(events, errors, strict=True):
                if error is None:
                    self._events.setdefault(event["event_id"], event)
                else:
                    self.refused.append((event, error))
        if real is not None:
            return real
        results = [
            {"index": index, "event_id": event.get("event_id"), "accepted": error is None}
            | ({"error": error} if error else {})
            for index, (event, error) in enumerate(zip(events, errors, strict=True))
        ]
        rejected = sum(error is not None for error in errors)
        outcome = {"accepted": len(events) - rejected, "rejected": rejected, "results": results}
        if rejected == len(events):
            return 400, {}, json.dumps({"error": "no event was accepted", "results": results}).encode()
        return 202, {}, json.dumps(outcome).encode()

    @property
    def events(self) -> list[Event]:
        """All accepted events, each once."""
        with self.lock:
            return list(self._events.values())

    def of(self, task_id: str) -> list[Event]:
        """The events of one task, by their time; a start comes before the end at the same microsecond."""
        order = ["task_queued", "task_started", "task_failed", "task_completed"]
        events = [event for event in self.events if event["task_id"] == task_id]
        return sorted(events, key=lambda event: (event["timestamp"], order.index(event["type"])))

    def kinds(self, task_id: str) -> list[str]:
        """What happened to one task, in the order of the events' times."""
        return [event["type"].removeprefix("task_") for event in self.of(task_id)]

    def wait_for_ends(self, task_id: str, count: int = 1, seconds: float = 30.0) -> list[Event]:
        """The finished events of a task, once there are so many."""

        def ends() -> list[Event]:
            return [event for event in self.of(task_id) if event["type"] in ("task_completed", "task_failed")]

        wait_for(lambda: len(ends()) >= count, f"{count} ends of {task_id}, got {self.kinds(task_id)}", seconds)
        return ends()


def _forward(path: str, body: bytes) -> Answer | None:
    if not REAL_URL:
        return None
    headers = {"content-type": "application/json", "access-token": os.environ.get("TASKSCOPE_TEST_TOKEN", "")}
    request = urllib.request.Request(REAL_URL.rstrip("/") + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, {}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {}, error.read()
