"""What is reported of a task: made in a hook, written out as JSON in the background thread.

The events are ``NativeEvent``s of ``POST /api/v1/events``. Attempts are numbered as TaskIQ numbers them (``"numbering":
"taskiq"``): the server reads the counters from the labels, and a finished event names its run by the exact
``started_at`` of its *started*.
"""

import codecs
import json
from dataclasses import dataclass
from datetime import datetime, timezone

from taskscope.cause import Cause
from taskscope.freeze import Json, cut_text

#: Bytes of JSON at the most, of what is reported of one task. The server's limits are 64 KiB for params, labels and
#: texts, 4 KiB for a result, 1 KiB for a name, 256 KiB for an event; these leave room for all of them together.
PARAMS_LIMIT = 32 * 1024
LABELS_LIMIT = 8 * 1024
RESULT_LIMIT = 4 * 1024
MESSAGE_LIMIT = 16 * 1024
TRACEBACK_LIMIT = 64 * 1024
NAME_LIMIT = 1000


def _visible(error: UnicodeError) -> tuple[str, int]:
    """Half of a surrogate pair is no UTF-8:

    it becomes the visible text of its escape, as the server would make of it.
    """
    assert isinstance(error, UnicodeEncodeError)
    return "".join(f"\\\\u{ord(c):04x}" for c in error.object[error.start : error.end]), error.end


codecs.register_error("taskscope.visible", _visible)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def to_json(value: object) -> bytes:
    """The JSON of a value that has been through :func:`taskscope.freeze.freeze`, or of a text."""
    return _encode(value).encode("utf-8", "taskscope.visible")


def bounded_json(value: object, limit: int) -> bytes:
    """The same, of at most ``limit`` bytes:

    what is longer, since escapes take room, becomes a string with its beginning.
    """
    text = to_json(value)
    if len(text) <= limit:
        return text
    start = value if isinstance(value, str) else text.decode()
    kept = limit - 48
    while len(text) > limit:
        text = to_json(cut_text(start, kept))
        kept = kept * 3 // 4
    return text


def bounded_text(value: str, limit: int) -> bytes:
    """A long text as JSON of at most ``limit`` bytes.

    Its middle is cut: a traceback's first lines and its last ones say the most.
    """
    text = to_json(value)
    kept = limit
    while len(text) > limit:
        kept = kept * 3 // 4
        half = kept // 2
        text = to_json(f"{value[:half]}\n… (cut: {len(value)} characters in all) …\n{value[-half:]}")
    return text


def rfc3339(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as UTC with microseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06}Z"


@dataclass(slots=True)
class Description:
    """What all events of one run say alike. It is written out once, and then forgets the values."""

    task_id: str
    task_name: str
    queue: str | None
    worker: str | None
    max_retries: int | None
    labels: Json
    params: Json
    size: int
    _json: bytes | None = None

    def json(self) -> bytes:
        """Its members as JSON, without braces."""
        if self._json is None:
            parts = [b'"numbering":"taskiq"']
            for name, text in (
                ("task_id", self.task_id),
                ("task_name", self.task_name),
                ("queue", self.queue),
                ("worker", self.worker),
            ):
                if text is not None:
                    parts.append(b'"%s":%s' % (name.encode(), bounded_json(text, NAME_LIMIT)))
            if self.max_retries is not None:
                parts.append(b'"max_retries":%d' % self.max_retries)
            if self.labels is not None:
                parts.append(b'"labels":' + bounded_json(self.labels, LABELS_LIMIT))
            if self.params is not None:
                parts.append(b'"params":' + bounded_json(self.params, PARAMS_LIMIT))
            self._json = b",".join(parts)
            self.labels = self.params = None
        return self._json


@dataclass(slots=True)
class Event:
    """Something that happened to a task. Times are nanoseconds since 1970, durations nanoseconds."""

    kind: str
    at: int
    description: Description
    started_at: int | None = None
    duration: int | None = None
    cause: Cause | None = None
    result: Json = None
    result_size: int = 0

    @property
    def size(self) -> int:
        """About how many bytes it will be."""
        cause = self.cause.size if self.cause is not None else 0
        return self.description.size + self.result_size + cause + 300

    def json(self, event_id: str) -> bytes:
        """The whole event as JSON."""
        parts = [b'{"type":"%s","event_id":%s,"timestamp":"%s"' % (
            self.kind.encode(), to_json(event_id), rfc3339(self.at).encode()
        )]  # fmt: skip
        parts.append(self.description.json())
        if self.started_at is not None:
            parts.append(b'"started_at":"%s"' % rfc3339(self.started_at).encode())
        if self.duration is not None:
            parts.append(b'"duration_ms":%.3f' % (self.duration / 1_000_000))
        if self.cause is not None:
            parts += self._cause(self.cause)
        if self.result is not None:
            parts.append(b'"result":' + bounded_json(self.result, RESULT_LIMIT))
        return b",".join(parts) + b"}"

    @staticmethod
    def _cause(cause: Cause) -> list[bytes]:
        parts = [
            b'"error_type":' + bounded_json(cause.error_type, NAME_LIMIT),
            b'"error_message":' + bounded_text(cause.message, MESSAGE_LIMIT),
        ]
        traceback = cause.traceback()
        if traceback:
            parts.append(b'"error_traceback":' + bounded_text(traceback, TRACEBACK_LIMIT))
        return parts
