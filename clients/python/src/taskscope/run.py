"""One run of a task in this process, from ``pre_execute`` to ``post_execute``."""

import asyncio
from collections.abc import Callable
from typing import Any

from taskscope.events import Description


class Run:
    """What the hooks of one run have to know of each other.

    It is found through a context variable, and not by its task id: a broker that delivers a task again because it takes
    long may give it to the same worker, and then there are two runs of one task id.
    """

    __slots__ = (
        "clock",
        "description",
        "ended",
        "outer",
        "requeues",
        "resent",
        "sending",
        "started_at",
        "task",
        "watch",
    )

    def __init__(self, description: Description, requeues: object, started_at: int, clock: int) -> None:
        self.description = description
        #: TaskIQ's label, as it was when the run started: `Context.requeue` changes the message's own labels.
        self.requeues = requeues
        #: Nanoseconds since 1970, and by a clock that never jumps.
        self.started_at = started_at
        self.clock = clock
        self.ended = False
        #: When the same task was last sent again from within this run, by both clocks.
        self.resent: tuple[int, int] | None = None
        #: What the context held before.
        self.outer: Run | None = None
        self.sending: tuple[str, int] | None = None
        self.task: asyncio.Task[Any] | None = None
        self.watch: Callable[[asyncio.Task[Any]], None] | None = None

    def ended_at(self, now: int, clock: int, execution_time: float) -> tuple[int, int]:
        """When it ended, and how long it ran, in nanoseconds.

        A retry middleware that stands behind ours in the list has sent the next attempt before we hear of the error.
        Then the run ended, at the latest, when that was sent; unless the task itself had sent it, which its execution
        time would belie.
        """
        if self.resent is not None:
            resent_at, resent_clock = self.resent
            # TaskIQ rounds to hundredths of a second.
            if resent_clock - self.clock >= (execution_time - 0.006) * 1e9:
                now, clock = resent_at, resent_clock
        # The wall clock may have been set back meanwhile.
        return max(now, self.started_at), max(clock - self.clock, 0)

    def watch_task(self, callback: Callable[[asyncio.Task[Any]], None]) -> None:
        """Calls back when the asyncio task that it runs in is done, however that comes."""
        if self.task is not None:
            self.watch = callback
            self.task.add_done_callback(callback)

    def leave(self) -> None:
        """Lets go of the asyncio task."""
        if self.task is not None and self.watch is not None:
            self.task.remove_done_callback(self.watch)
        self.task = self.watch = None
