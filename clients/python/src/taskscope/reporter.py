"""The way from a hook to the background thread, through forks and to the end of the process."""

import atexit
import logging
import multiprocessing
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing import util as multiprocessing_util

from taskscope.buffer import Buffer
from taskscope.events import Event
from taskscope.sender import Beat, Sender, connect
from taskscope.settings import Settings

logger = logging.getLogger("taskscope")

HOST = socket.gethostname()

#: A thread that is told to end within some seconds may need so many more, for the request that it is in.
_GRACE = 0.5


class Reporter:
    """Takes events and sees to it that a thread sends them.

    The thread starts with the first event or heartbeat in a process, never before: a worker's processes are forks, and
    a thread doesn't survive a fork. A forked process starts with an empty buffer, because what its parent has buffered
    its parent sends.
    """

    def __init__(self, settings: Settings, on_exit: Callable[[], None], on_fork: Callable[[], None]) -> None:
        """
        :param on_exit: called when the process ends, before the last events are sent.
        :param on_fork: called in a process that has just been forked from this one.
        :raises ValueError: a setting makes no sense.
        :raises ImportError: what a setting needs is not installed.
        """
        settings.check()
        # Only to find out now, and not in the thread, whether the URLs are some.
        connect(settings)
        self._settings = settings
        self._on_exit = on_exit
        self._on_fork = on_fork
        self._beat: Beat | None = None
        self._begin()
        _reporters.add(self)

    def _begin(self) -> None:
        settings = self._settings
        self._buffer = Buffer(settings.buffer_events, settings.buffer_bytes, settings.batch_events)
        self._sender: Sender | None = None
        self._starting = threading.Lock()
        self._sent = 0
        self.start_life()

    def start_life(self) -> None:
        """Takes a new name: no two processes share one, nor two lives of one process."""
        self.worker = f"{HOST}:{os.getpid()}:{os.urandom(2).hex()}"
        self.started_at = time.time_ns()

    def report(self, event: Event) -> None:
        """Takes an event, or drops and counts it where the buffer is full. Never waits, and doesn't raise."""
        if self._buffer.put(event):
            self._ensure_sender()

    def send_heartbeats(self, beat: Beat) -> None:
        """From now on sends heartbeats with what ``beat`` says."""
        self._beat = beat
        self._ensure_sender().beat = beat
        self._buffer.wake()

    def hurry(self) -> None:
        """Sends what there is without waiting for more."""
        self._buffer.wake()

    @property
    def buffered(self) -> int:
        """Events that wait or are being sent."""
        return self._buffer.events

    @property
    def dropped(self) -> int:
        """Events that were dropped because the buffer was full, or refused by the server."""
        return self._buffer.dropped

    def begin_close(self, seconds: float) -> None:
        """Tells the thread to send what there is, and a last heartbeat, and to end.

        A later event starts another one.
        """
        self._beat = None
        if self._sender is not None:
            self._sender.close(seconds)

    @property
    def is_closed(self) -> bool:
        """Whether no thread runs."""
        return self._sender is None or not self._sender.alive

    def close(self, seconds: float) -> None:
        """The same as :meth:`begin_close`, and waits for it."""
        if self.is_closed and not self._buffer.events:
            return
        sender = self._ensure_sender()
        self.begin_close(seconds)
        if sender.thread.is_alive():
            sender.thread.join(seconds + _GRACE)
        elif sender.alive:
            # At the very end of a process Python starts no thread any more.
            sender.run()

    def _ensure_sender(self) -> Sender:
        sender = self._sender
        if sender is None or not sender.alive:
            with self._starting:
                sender = self._sender
                if sender is None or not sender.alive:
                    sender = self._sender = self._start_sender()
        return sender

    def _start_sender(self) -> Sender:
        sender = Sender(self._settings, self._buffer, self._next_event_id)
        sender.beat = self._beat
        _close_at_exit()
        try:
            sender.thread.start()
        except RuntimeError:
            logger.debug("No thread can be started; events are sent when the process ends.", exc_info=True)
        return sender

    def _next_event_id(self) -> str:
        self._sent += 1
        return f"{self.worker}:{self._sent}"

    def _after_fork(self) -> None:
        self._beat = None
        self._begin()
        self._on_fork()

    def _at_exit(self) -> None:
        self._on_exit()
        self.close(self._settings.shutdown_timeout)


_reporters: "weakref.WeakSet[Reporter]" = weakref.WeakSet()
_closes_at_exit_in: int | None = None


def _close_at_exit() -> None:
    """Once in each process.

    A forked child of ``multiprocessing`` ends without ``atexit``, but calls its own finalizers.
    """
    global _closes_at_exit_in
    if _closes_at_exit_in == os.getpid():
        return
    _closes_at_exit_in = os.getpid()
    atexit.register(_close_all)
    if multiprocessing.parent_process() is not None:
        multiprocessing_util.Finalize(None, _close_all, exitpriority=100)


def _close_all() -> None:
    for reporter in list(_reporters):
        try:
            reporter._at_exit()
        except Exception:
            logger.debug("An error while Taskscope's client ended.", exc_info=True)


def _after_fork() -> None:
    for reporter in list(_reporters):
        reporter._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
