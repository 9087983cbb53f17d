"""The background thread: it writes events out, sends them in batches, and sends heartbeats."""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from taskscope.buffer import Buffer
from taskscope.connection import Answer, Connection, NoAnswerError
from taskscope.events import to_json
from taskscope.nats_connection import NatsConnection
from taskscope.outage import Outage
from taskscope.settings import Settings

logger = logging.getLogger("taskscope")

#: A worker's own part of a heartbeat.
Beat = Callable[[], dict[str, Any]]

#: Events are written out in groups of this size; between two of them any other thread may have the interpreter.
_GROUP = 16


class Sender:
    """One life of the thread: from the first event or heartbeat until it is told to close.

    A batch is kept until the server has answered for each of its events, and is sent again with the same event ids:
    sending an event twice changes nothing there.
    """

    def __init__(self, settings: Settings, buffer: Buffer, event_ids: Callable[[], str]) -> None:
        self._settings = settings
        self._buffer = buffer
        self._event_ids = event_ids
        self._connection, self._stream = connect(settings)
        self._outage = Outage(settings.where)
        self._written: deque[tuple[bytes, int]] = deque()
        self._most = settings.batch_events
        self._next_beat = 0.0
        self._stumbled = False
        self._beat_complaint: str | None = None
        self._close_until: float | None = None
        #: What a heartbeat says of the worker; nothing in a process that is none.
        self.beat: Beat | None = None
        #: Whether the thread takes what is put into the buffer.
        self.alive = True
        self.thread = threading.Thread(target=self.run, name="taskscope", daemon=True)

    def close(self, seconds: float) -> None:
        """Sends what there is, and a last heartbeat, within so many seconds;

        then the thread ends. Doesn't wait for it.
        """
        self._close_until = time.monotonic() + seconds
        self._buffer.wake()

    def run(self) -> None:
        """What the thread does. Nothing ends it but being told to."""
        while self.alive:
            try:
                self._turn()
            except Exception:
                self._stumble()
        for connection in (self._connection, self._stream):
            if connection is not None:
                connection.close()

    def _stumble(self) -> None:
        """Nothing that is foreseen: say so once, and go on slowly."""
        if not self._stumbled:
            self._stumbled = True
            logger.exception("An error in Taskscope's own client, which is logged only once. Tasks are not affected.")
        time.sleep(0.2)
        self.alive = self._close_until is None or time.monotonic() < self._close_until

    def _turn(self) -> None:
        self._wait()
        self._write()
        now = time.monotonic()
        if self.beat is not None and self._close_until is None and now >= self._next_beat:
            self._next_beat = now + self._settings.heartbeat_interval
            self._send_beat(stopping=False)
        # One batch a turn, so that a long backlog delays no heartbeat.
        if self._written and self._may_send():
            self._send_batch()
        if self._close_until is not None and (not self._buffer.events or not self._may_hope()):
            self._end()

    def _wait(self) -> None:
        """Until there is something to do: events that have waited for company long enough, a heartbeat, another try."""
        if self._close_until is not None:
            if self._written:
                self._buffer.wait(min(self._outage.next_try, self._close_until) - time.monotonic(), 1 << 62)
            return
        due = [3600.0]
        if self.beat is not None:
            due.append(self._next_beat - time.monotonic())
        if self._written:
            due.append(self._outage.next_try - time.monotonic())
            self._buffer.wait(max(min(due), 0.0), self._settings.batch_events)
            return
        woken = self._buffer.wait(max(min(due), 0.0), 1)
        if self._buffer.incoming and not woken:
            due.append(self._settings.flush_interval)
            self._buffer.wait(max(min(due), 0.0), self._settings.batch_events)

    def _may_send(self) -> bool:
        if self._close_until is None:
            return time.monotonic() >= self._outage.next_try
        return self._may_hope() and time.monotonic() >= self._outage.next_try

    def _may_hope(self) -> bool:
        """Whether a thread that closes should go on trying."""
        assert self._close_until is not None
        return time.monotonic() < self._close_until and not self._outage.is_hopeless(self._settings.shutdown_timeout)

    def _write(self) -> None:
        for number, event in enumerate(self._buffer.take(), 1):
            size = event.size
            try:
                text = event.json(self._event_ids())
            except Exception:
                self._buffer.release(1, size, dropped=1)
                self._outage.refused(1, "it can't be written as JSON")
                logger.debug("An event that can't be written as JSON.", exc_info=True)
                continue
            self._buffer.resize(len(text) - size)
            self._written.append((text, len(text)))
            if number % _GROUP == 0:
                time.sleep(0)

    def _send_batch(self) -> None:
        batch: list[bytes] = []
        length = 0
        for text, size in self._written:
            if len(batch) == self._most or (batch and length + size > self._settings.batch_bytes):
                break
            batch.append(text)
            length += size
        answer = self._deliver(b"[" + b",".join(batch) + b"]")
        if answer is None:
            return
        if answer.status == 413:
            self._too_large(len(batch))
        elif answer.status in (202, 400):
            self._outage.over()
            self._most = min(self._most * 2, self._settings.batch_events)
            self._forget(len(batch), self._refused(answer, len(batch)))
        else:
            self._outage.failed(_complaint(answer), answer.retry_after)

    def _too_large(self, events: int) -> None:
        if events > 1:
            self._most = events // 2
        else:
            self._outage.refused(1, "it is too large")
            self._forget(1, 1)

    def _refused(self, answer: Answer, events: int) -> int:
        """How many events of a batch the server will never take."""
        try:
            said = json.loads(answer.body)
            refused = events if answer.status == 400 else int(said["rejected"])
            if refused:
                reasons = [item["error"] for item in said.get("results", []) if item.get("error")]
                self._outage.refused(refused, str(reasons[0] if reasons else said.get("error")))
            else:
                self._outage.nothing_refused()
        except (ValueError, KeyError, TypeError, AttributeError):
            refused = events if answer.status == 400 else 0
            if refused:
                self._outage.refused(refused, _complaint(answer))
        return min(refused, events)

    def _forget(self, events: int, dropped: int) -> None:
        size = sum(self._written.popleft()[1] for _ in range(events))
        self._buffer.release(events, size, dropped)

    def _send_beat(self, *, stopping: bool) -> None:
        assert self.beat is not None
        counts = {"buffered": self._buffer.events, "dropped": self._buffer.dropped, "stopping": stopping}
        if self._connection is None:
            return
        body = to_json({**self.beat(), **counts})
        try:
            answer = self._connection.post("/api/v1/heartbeats", body, self._seconds())
        except NoAnswerError as error:
            if self._stream is None:
                self._outage.failed(str(error))
            return
        # A heartbeat is never sent again: the next one says more. Events go their own way meanwhile.
        complaint = None if answer.status == 202 else _complaint(answer)
        if complaint is not None and complaint != self._beat_complaint:
            logger.warning("Taskscope at %s takes no heartbeats: %s", self._settings.url, complaint)
        self._beat_complaint = complaint

    def _deliver(self, body: bytes) -> Answer | None:
        try:
            if self._stream is not None:
                return self._stream.publish(body, self._seconds())
            assert self._connection is not None
            return self._connection.post("/api/v1/events", body, self._seconds())
        except NoAnswerError as error:
            self._outage.failed(str(error))
            return None

    def _seconds(self) -> float:
        """How long a request may take."""
        seconds = self._settings.request_timeout
        if self._close_until is not None:
            seconds = min(seconds, max(self._close_until - time.monotonic(), 0.1))
        return seconds

    def _end(self) -> None:
        if self.beat is not None and not self._outage.is_hopeless(0.0):
            self._send_beat(stopping=True)
        self.alive = False
        # What came in since then would wait for a thread that is gone, if it thought that this one goes on.
        if self._buffer.incoming and self._may_hope():
            self.alive = True
        elif self._written:
            lost = len(self._written)
            logger.warning("%d events could not be sent to Taskscope before this process ended.", lost)
            self._forget(lost, lost)


def connect(settings: Settings) -> tuple[Connection | None, NatsConnection | None]:
    """Where heartbeats go, and events unless there is a stream for them. Nothing is connected yet.

    :raises ValueError: a URL or another setting makes no sense.
    :raises ImportError: what the stream needs is not installed.
    """
    stream = None
    if settings.nats_url is not None:
        stream = NatsConnection(
            settings.nats_url, settings.nats_subject, settings.nats_credentials, settings.ssl_context
        )
    if stream is not None and not settings.url:
        return None, stream
    return Connection(settings.url, settings.token, settings.ssl_context), stream


def _complaint(answer: Answer) -> str:
    try:
        error = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError):
        error = ""
    return f"it answers {answer.status} {error}".rstrip()
