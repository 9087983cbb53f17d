"""Where events wait until they are sent: bounded in number and in bytes."""

import threading
from collections import deque

from taskscope.events import Event


class Buffer:
    """Takes events from hooks, in any thread, and gives them to the sender.

    A full buffer drops the new event and counts it. An event counts until it is released: sent, or refused.
    """

    def __init__(self, most_events: int, most_bytes: int, batch_events: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._batch_events = batch_events
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._incoming: deque[Event] = deque()
        self._bytes = 0
        self._woken = False
        #: Events in it, those that are being sent included.
        self.events = 0
        #: Events that were dropped or refused, ever.
        self.dropped = 0

    def put(self, event: Event) -> bool:
        """Takes an event, unless it is full. Wakes the sender for the first event and for a whole batch."""
        size = event.size
        with self._lock:
            if self.events >= self._most_events or self._bytes + size > self._most_bytes:
                self.dropped += 1
                return False
            self.events += 1
            self._bytes += size
            self._incoming.append(event)
            waiting = len(self._incoming)
            if waiting == 1 or waiting == self._batch_events:
                self._changed.notify_all()
            return True

    def take(self) -> deque[Event]:
        """All events that came since the last call. They stay counted."""
        with self._lock:
            taken, self._incoming = self._incoming, deque()
            return taken

    def resize(self, more: int) -> None:
        """Corrects the bytes, once it is known how many an event takes."""
        with self._lock:
            self._bytes += more

    def release(self, events: int, size: int, dropped: int = 0) -> None:
        """Forgets events, of which some were dropped after all."""
        with self._lock:
            self.events -= events
            self._bytes -= size
            self.dropped += dropped

    def wait(self, seconds: float, events: int) -> bool:
        """Waits until so many events have come in, something called :meth:`wake`, or the time is over.

        :returns: whether it was woken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._woken or len(self._incoming) >= events, seconds)
            woken, self._woken = self._woken, False
            return woken

    def wake(self) -> None:
        """Ends a wait, or the next one."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    @property
    def incoming(self) -> int:
        """Events that :meth:`take` would give."""
        return len(self._incoming)
