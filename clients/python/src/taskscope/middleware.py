"""The middleware for TaskIQ."""

import asyncio
import functools
import logging
import os
import ssl
import time
from collections.abc import Callable, Collection
from contextvars import ContextVar
from typing import Any

from taskiq import TaskiqMessage, TaskiqMiddleware, TaskiqResult
from taskiq.exceptions import NoResultError, TaskRejectedError

from taskscope import broker_facts
from taskscope.cause import Cause, type_name
from taskscope.connection import CLIENT
from taskscope.describe import Describer
from taskscope.events import RESULT_LIMIT, Event, rfc3339
from taskscope.freeze import freeze
from taskscope.reporter import HOST, Reporter
from taskscope.run import Run
from taskscope.settings import Settings

logger = logging.getLogger("taskscope")

_REQUEUES = "X-Taskiq-requeue"


class TaskscopeMiddleware(TaskiqMiddleware):
    """Reports every task to Taskscope:

    when it was queued, started and ended, with what, and how; and that this worker lives.

    It never gets in a task's way: a hook makes a bounded snapshot and puts it into a bounded buffer; one background
    thread does all the rest. Nothing that happens to Taskscope raises, waits or fills the memory here. Best placed last
    in the list of middlewares, where it measures the task and not the others; it reports the real error of an attempt
    wherever it stands.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        queue: str | None = None,
        version: str | None = None,
        send_params: bool = True,
        send_results: bool = True,
        redact: Collection[str] = (),
        buffer_events: int = 10_000,
        buffer_bytes: int = 32 * 1024 * 1024,
        flush_interval: float = 0.2,
        batch_events: int = 500,
        batch_bytes: int = 512 * 1024,
        heartbeat_interval: float = 5.0,
        request_timeout: float = 5.0,
        shutdown_timeout: float = 4.0,
        concurrency: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
        nats_url: str | None = None,
        nats_subject: str = "taskscope.events.tasks",
        nats_credentials: str | None = None,
    ) -> None:
        """
        :param url: where Taskscope is; by default ``TASKSCOPE_URL``. Without one nothing is reported.
        :param token: its ingest token; by default ``TASKSCOPE_TOKEN``.
        :param queue: the queue, where no label ``queue_name`` says it; by default what the broker says.
        :param version: the application's own version, shown with the worker.
        :param send_params: whether to send what tasks are called with.
        :param send_results: whether to send a preview of what they return.
        :param redact: names of arguments and keys whose values are never sent, in any case of letters.
        :param buffer_events: events that may wait; when there are more, new ones are dropped and counted.
        :param buffer_bytes: the same in bytes, about.
        :param flush_interval: seconds that an event waits for others.
        :param batch_events: events sent at once at the most.
        :param batch_bytes: the same in bytes.
        :param heartbeat_interval: seconds between two heartbeats of a worker.
        :param request_timeout: seconds until a request counts as failed.
        :param shutdown_timeout: seconds that the end of the process may wait for the last events. TaskIQ gives the
            whole shutdown of a broker five.
        :param concurrency: how many tasks a worker process runs at once; by default what ``taskiq worker`` was started
            with.
        :param ssl_context: for a server with a certificate of one's own authority.
        :param nats_url: NATS servers whose JetStream takes the events, with commas between; by default
            ``TASKSCOPE_NATS_URL``. Heartbeats go to ``url`` all the same, if there is one.
        :param nats_subject: the subject that events are published to.
        :param nats_credentials: a credentials file, where NATS wants one.
        :raises ValueError: a URL or a number makes no sense.
        :raises ImportError: ``nats_url`` is given and nats-py isn't installed.
        """
        super().__init__()
        self._version = version
        self._concurrency = concurrency
        self._heartbeat_interval = heartbeat_interval
        self._shutdown_timeout = shutdown_timeout
        self._send_results = send_results
        self._redact = frozenset(name.lower() for name in redact)
        self._describer = Describer(queue, send_params, self._redact)
        self._run: ContextVar[Run | None] = ContextVar("taskscope_run", default=None)
        self._sending: ContextVar[tuple[str, int] | None] = ContextVar("taskscope_sending", default=None)
        self._running: set[Run] = set()
        self._is_worker = False
        self._complained = False
        self._reporter: Reporter | None = None
        url = os.environ.get("TASKSCOPE_URL") if url is None else url
        nats_url = (os.environ.get("TASKSCOPE_NATS_URL") if nats_url is None else nats_url) or None
        if not url and nats_url is None:
            logger.warning("No URL of Taskscope is given: tasks are not reported.")
            return
        settings = Settings(
            url=url or "",
            token=os.environ.get("TASKSCOPE_TOKEN") if token is None else token,
            buffer_events=buffer_events,
            buffer_bytes=buffer_bytes,
            flush_interval=flush_interval,
            batch_events=batch_events,
            batch_bytes=batch_bytes,
            heartbeat_interval=heartbeat_interval,
            request_timeout=request_timeout,
            shutdown_timeout=shutdown_timeout,
            ssl_context=ssl_context,
            nats_url=nats_url,
            nats_subject=nats_subject,
            nats_credentials=nats_credentials,
        )
        self._reporter = Reporter(settings, on_exit=self._abandon, on_fork=self._forget)

    # The hooks, in the order in which they are called. Each is a plain function, which costs less than a coroutine, and
    # each keeps to itself whatever goes wrong.

    def startup(self) -> None:
        """A worker's heartbeats begin here; anything else has nothing to say yet."""
        try:
            if self._reporter is not None and not self._is_worker and self.broker.is_worker_process:
                self._become_worker(self._reporter)
        except Exception:
            self._complain()

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        """Takes the time: after it is sent, a quick task may have ended already."""
        now = time.time_ns()
        try:
            self._sending.set((message.task_id, now))
            run = self._run.get()
            if run is not None and not run.ended and run.description.task_id == message.task_id:
                run.resent = now, time.perf_counter_ns()
        except Exception:
            self._complain()
        return message

    def post_send(self, message: TaskiqMessage) -> None:
        """The broker has it: it is queued."""
        try:
            if self._reporter is not None:
                sending = self._sending.get()
                at = sending[1] if sending is not None and sending[0] == message.task_id else time.time_ns()
                self._report("task_queued", at, message)
        except Exception:
            self._complain()

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """It starts."""
        try:
            if self._reporter is not None:
                self._start(self._reporter, message)
        except Exception:
            self._complain()
        return message

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        """It raised.

        Here the error is the real one; in ``post_execute`` a retry middleware may have put another in its place.
        """
        now, clock = time.time_ns(), time.perf_counter_ns()
        try:
            run = self._find(message)
            if run is not None and not run.ended:
                requeued = isinstance(exception, NoResultError) and message.labels.get(_REQUEUES) != run.requeues
                at, duration = run.ended_at(now, clock, result.execution_time)
                self._end(run, at, duration, cause=_REQUEUED if requeued else _cause(exception))
                if requeued:
                    # `Context.requeue` goes to the broker directly, past `post_send`.
                    self._report("task_queued", at, message)
        except Exception:
            self._complain()

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        """It ended; if it raised, this is known already."""
        now, clock = time.time_ns(), time.perf_counter_ns()
        try:
            run = self._find(message)
            if run is None:
                return
            if not run.ended:
                at, duration = run.ended_at(now, clock, result.execution_time)
                error = result.error
                if error is None and not result.is_err:
                    self._end(run, at, duration, result=result.return_value)
                else:
                    self._end(run, at, duration, cause=_cause(error) if error is not None else _UNKNOWN)
            self._leave(run)
        except Exception:
            self._complain()

    async def shutdown(self) -> None:
        """Sends what there is, within the time limit. What still runs in a worker now will not go on."""
        reporter = self._reporter
        if reporter is None or reporter.is_closed:
            return
        until = time.monotonic() + self._shutdown_timeout
        if self._is_worker and self.broker.is_worker_process:
            # The loop goes on while broker and backend are closed: what is about to end may do so.
            reporter.hurry()
            await _wait_until(lambda: not (reporter.buffered and self._running), self._shutdown_timeout / 2)
            self._abandon()
        self._is_worker = False
        reporter.begin_close(max(until - time.monotonic(), 0.0))
        await _wait_until(lambda: reporter.is_closed, until - time.monotonic())

    def _start(self, reporter: Reporter, message: TaskiqMessage) -> None:
        if not self._is_worker:
            self._become_worker(reporter)
        description = self._describer.describe(self.broker, message, reporter.worker)
        run = Run(description, message.labels.get(_REQUEUES), time.time_ns(), time.perf_counter_ns())
        try:
            run.task = asyncio.current_task()
        except RuntimeError:
            run.task = None
        outer = self._run.get()
        # A run in an asyncio task of its own has only inherited what its context holds.
        if outer is not None and outer.task is run.task:
            run.outer = outer
        run.sending = self._sending.get()
        self._run.set(run)
        self._running.add(run)
        run.watch_task(functools.partial(self._lost, run))
        reporter.report(Event("task_started", run.started_at, description))

    def _find(self, message: TaskiqMessage) -> Run | None:
        """The run that a message belongs to: the innermost one of this context."""
        run = self._run.get()
        while run is not None and run.description.task_id != message.task_id:
            run = run.outer
        return run

    def _report(self, kind: str, at: int, message: TaskiqMessage) -> None:
        if self._reporter is not None:
            self._reporter.report(Event(kind, at, self._describer.describe(self.broker, message, None)))

    def _end(self, run: Run, at: int, duration: int, *, cause: Cause | None = None, result: object = None) -> None:
        run.ended = True
        self._running.discard(run)
        event = Event(
            "task_completed" if cause is None else "task_failed", at, run.description, run.started_at, duration, cause
        )
        if cause is None and self._send_results:
            event.result, event.result_size = freeze(result, RESULT_LIMIT - 256, self._redact)
        if self._reporter is not None:
            self._reporter.report(event)

    def _leave(self, run: Run) -> None:
        if self._run.get() is run:
            self._run.set(run.outer)
            self._sending.set(run.sending)
        run.outer = run.sending = None
        run.leave()

    def _lost(self, run: Run, task: "asyncio.Task[Any]") -> None:
        """The asyncio task of a run is done, and no hook has told how the run ended."""
        try:
            if not run.ended:
                # `Task.exception` would keep asyncio from logging it.
                error = getattr(task, "_exception", None)
                if task.cancelled():
                    cause = Cause(type_name(asyncio.CancelledError), "CancelledError()")
                else:
                    cause = _cause(error) if error is not None else _UNKNOWN
                self._end(run, max(time.time_ns(), run.started_at), time.perf_counter_ns() - run.clock, cause=cause)
            run.leave()
        except Exception:
            self._complain()

    def _abandon(self) -> None:
        """The process ends: what runs in it doesn't go on."""
        for run in list(self._running):
            self._end(run, max(time.time_ns(), run.started_at), time.perf_counter_ns() - run.clock, cause=_STOPPED)

    def _forget(self) -> None:
        """This process was forked: what runs, runs in the other one."""
        self._running.clear()
        self._is_worker = False

    def _become_worker(self, reporter: Reporter) -> None:
        self._is_worker = True
        reporter.start_life()
        names = self._describer.queues(self.broker)
        most = self._concurrency if self._concurrency is not None else broker_facts.concurrency()
        steady = {
            "worker": reporter.worker,
            "host": HOST,
            "pid": os.getpid(),
            "started_at": rfc3339(reporter.started_at),
            "client": CLIENT,
            "version": self._version,
            "queues": names,
            "concurrency": most,
            "interval_ms": int(self._heartbeat_interval * 1000),
        }
        reporter.send_heartbeats(lambda: {**steady, "running": len(self._running)})

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            logger.exception("An error in Taskscope's own client, which is logged only once. Tasks are not affected.")


_REQUEUED = Cause("taskscope.Requeued", "The task was put back into its queue (Context.requeue) and will run again.")
_REJECTED = Cause("taskscope.Rejected", "The task rejected its message (Context.reject).")
_STOPPED = Cause("taskscope.WorkerStopped", "The worker ended while the task was running.")
_UNKNOWN = Cause("taskscope.Unknown", "The run ended, and the worker didn't say how.")


async def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Looks again and again: no event of one loop could be set from the thread whatever the loop is."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def _cause(error: BaseException) -> Cause:
    return _REJECTED if type(error) is TaskRejectedError else Cause.of(error)
