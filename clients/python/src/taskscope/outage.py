"""What to do, and to say, while the server doesn't take events."""

import logging
import random
import time

logger = logging.getLogger("taskscope")

#: Seconds between two tries: full jitter below a bound that doubles.
SHORTEST_PAUSE = 0.25
LONGEST_PAUSE = 15.0


class Outage:
    """Whether the server takes events, since when not, and when to try again.

    It logs once an outage and cause, not once an event.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._reason: str | None = None
        self._since: float | None = None
        self._failures = 0
        self._reached = False
        self._logged_refusal = False
        #: Not before this time (``time.monotonic``) may be tried again.
        self.next_try = 0.0

    def failed(self, reason: str, retry_after: float | None = None) -> None:
        """A try failed; what was to be sent will be sent again."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if reason != self._reason:
            self._reason = reason
            logger.warning(
                "Taskscope at %s takes no events: %s. They wait in memory; tasks are not affected.", self._url, reason
            )
        pause = random.uniform(0, min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** min(self._failures, 10)))
        self._failures += 1
        # Whoever is told to come back later doesn't come with all others at the same moment.
        self.next_try = now + pause + (retry_after or 0.0)

    def over(self) -> None:
        """A try succeeded."""
        self._reached = True
        if self._since is not None:
            logger.info("Taskscope at %s takes events again, after %.0f s.", self._url, time.monotonic() - self._since)
        self._since = self._reason = None
        self._failures = 0
        self.next_try = 0.0

    def refused(self, count: int, reason: str) -> None:
        """The server will never take these events."""
        if not self._logged_refusal:
            self._logged_refusal = True
            logger.error("Taskscope at %s refused %d events, which are lost: %s", self._url, count, reason)

    def nothing_refused(self) -> None:
        """All of a batch were taken: the next refusal is worth a line again."""
        self._logged_refusal = False

    def is_hopeless(self, patience: float) -> bool:
        """Whether it has lasted so long, or from the beginning, that a process that wants to end shouldn't wait for its
        end.
        """
        if self._since is None:
            return False
        return not self._reached or time.monotonic() - self._since > patience
