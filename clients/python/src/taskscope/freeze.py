"""Bounded snapshots of values in the form that JSON can hold.

A snapshot is taken in the hook, in the task's own thread, because a task may change what it was called with and what it
returned, and because ``repr`` and pydantic's serializers are the application's code, which must not run in another
thread. It stops at its limit, so that a value of any size costs at most what a value of the limit's size does (pydantic
models are the exception: only they themselves know what may be shown of them). Writing the snapshot out as text is the
background thread's work.

Nothing here raises, whatever the value is.
"""

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, Collection, Set
from typing import Any, TypeAlias

#: What JSON can hold.
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

#: Arrays and objects nested deeper than this are replaced by a sentence. The server's own limit is 64 for a whole
#: event.
DEEPEST = 32

#: What stands for a value that ``redact`` names.
REDACTED = "[redacted]"

#: Integers from here on are looked at before they are written out: Python itself refuses more than 4,300 digits.
_WIDE = 1 << 62
_WIDEST_BITS = 1300

#: Longer keys are cut.
_LONGEST_KEY = 256


def freeze(value: object, limit: int, redact: Set[str] = frozenset()) -> tuple[Json, int]:
    """Copies a value into plain lists, dicts, strings and numbers of about ``limit`` bytes of JSON at the most.

    What doesn't fit is cut with a marker that says so. The values of keys that are in ``redact`` (in lower case) are
    hidden. Returns the copy and about how many bytes of JSON it is.
    """
    walk = _Walk(limit, redact)
    try:
        frozen = walk.value(value, DEEPEST)
    except Exception as error:  # an odd subclass of a built-in type, or no stack left
        frozen = f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"
    return frozen, limit - walk.left


def cut_text(text: str, limit: int) -> str:
    """At most ``limit`` bytes of UTF-8 of a text, and a marker where it was longer."""
    if len(text) <= limit and (text.isascii() or len(text.encode("utf-8", "surrogatepass")) <= limit):
        return text
    kept = text[:limit].encode("utf-8", "surrogatepass")[:limit].decode("utf-8", "ignore")
    return f"{kept}… (cut: {len(text)} characters in all)"


def safe_repr(value: object) -> str:
    """The ``repr`` of a value, or what can be said where that fails."""
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__module__}.{type(value).__qualname__} whose repr fails: {type(error).__name__}>"


class _Walk:
    """One walk through a value, with what is left of its limit."""

    __slots__ = ("above", "left", "redact")

    def __init__(self, limit: int, redact: Set[str]) -> None:
        self.left = limit
        self.redact = redact
        self.above: list[int] = []

    def value(self, value: object, depth: int) -> Json:
        if type(value) is str:
            return self.text(value)
        if type(value) is int:
            self.left -= 6
            return value if -_WIDE < value < _WIDE else self.integer(value)
        if value is None or value is True or value is False:
            self.left -= 5
            return value
        if type(value) is float:
            self.left -= 12
            # Only NaN and the infinities aren't zero here, and JSON has none of them.
            return value if value - value == 0.0 else None
        if isinstance(value, enum.Enum):
            return self.value(value.value, depth)
        if isinstance(value, (dict, list, tuple, set, frozenset, deque)):
            return self.container(value, depth)
        return self.other(value, depth)

    def text(self, text: str) -> str:
        length = len(text)
        if not text.isascii():
            # Not measured where it would be much longer than what is kept of it.
            length = len(text.encode("utf-8", "surrogatepass")) if length <= self.left else length * 4
        if length + 3 <= self.left:
            self.left -= length + 3
            return text
        kept = max(self.left - 3, 0)
        self.left = 0
        return cut_text(text, kept)

    def integer(self, value: int) -> int | str:
        bits = value.bit_length()
        if bits <= _WIDEST_BITS:
            self.left -= bits // 3
            return value
        return self.text(f"(cut: an integer of {bits} bits)")

    def container(self, value: Collection[object], depth: int) -> Json:
        if depth == 0:
            return self.text(f"… (cut: nested deeper than {DEEPEST} levels)")
        if id(value) in self.above:
            return self.text("… (cut: it contains itself)")
        self.above.append(id(value))
        try:
            return self.mapping(value, depth - 1) if isinstance(value, dict) else self.array(value, depth - 1)
        finally:
            self.above.pop()

    def array(self, values: Collection[object], depth: int) -> Json:
        self.left -= 2
        frozen: list[Json] = []
        for value in values:
            if self.left <= 0:
                frozen.append(f"… (cut: {len(values) - len(frozen)} more)")
                break
            self.left -= 1
            frozen.append(self.value(value, depth))
        return frozen

    def mapping(self, values: dict[Any, object], depth: int) -> Json:
        self.left -= 2
        frozen: dict[str, Json] = {}
        redact = self.redact
        for key, value in values.items():
            if self.left <= 0:
                frozen["…"] = f"(cut: {len(values) - len(frozen)} more)"
                break
            if type(key) is not str:
                key = self.key(key)
            if len(key) > _LONGEST_KEY:
                key = cut_text(key, _LONGEST_KEY)
            self.left -= len(key) + 4
            if redact and key.lower() in redact:
                frozen[key] = REDACTED
            else:
                frozen[key] = self.value(value, depth)
        return frozen

    def key(self, key: object) -> str:
        if isinstance(key, enum.Enum):
            key = key.value
        for kind, write in _LEAVES:
            if isinstance(key, kind):
                return write(key)
        return safe_repr(key)

    def other(self, value: object, depth: int) -> Json:
        """What JSON doesn't have; written as TaskIQ's own middlewares do, where they can."""
        for kind, write in _LEAVES:
            if isinstance(value, kind):
                return self.text(write(value))
        if isinstance(value, int):
            return self.value(int(value), depth)
        if isinstance(value, float):
            return self.value(float(value), depth)
        if not isinstance(value, type):
            fields = _fields(value)
            if fields is not None:
                return self.container(fields, depth)
        return self.text(safe_repr(value))


def _fields(value: object) -> dict[str, object] | None:
    """The fields of a pydantic model or a dataclass;

    nothing for anything else, and for a model that can't be dumped.
    """
    try:
        if hasattr(type(value), "model_dump"):
            dumped = value.model_dump(mode="json")  # type: ignore[attr-defined]
            return dumped if isinstance(dumped, dict) else {"root": dumped}
        if dataclasses.is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    except Exception:
        return None
    return None


def _bytes(value: bytes | bytearray) -> str:
    # At most what any limit would keep of it, lest a file's content be decoded for nothing.
    start = bytes(value[: 1 << 16])
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError:
        text = repr(start)
    return text if len(value) <= len(start) else f"{text}… (cut: {len(value)} bytes in all)"


def _time(value: datetime.datetime | datetime.time) -> str:
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _duration(value: datetime.timedelta) -> str:
    """ISO 8601, as pydantic writes it: ``P1DT2H3M4.5S``."""
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    hours, seconds = divmod(value.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    parts = [(hours, f"{hours}H"), (minutes, f"{minutes}M"), (seconds or fraction, f"{seconds}{fraction}S")]
    clock = "".join(text for amount, text in parts if amount)
    days = f"{value.days}D" if value.days else ""
    return f"{sign}P{days}{'T' + clock if clock else ''}" if days or clock else "PT0S"


#: What is written as a string; the order matters where one type is a kind of another.
_LEAVES: list[tuple[type | tuple[type, ...], Callable[[Any], str]]] = [
    (str, str.__str__),
    ((bytes, bytearray), _bytes),
    ((datetime.datetime, datetime.time), _time),
    (datetime.date, datetime.date.isoformat),
    (datetime.timedelta, _duration),
    ((decimal.Decimal, uuid.UUID, pathlib.PurePath), str),
]
