"""Why a run ended without a result."""

import traceback
from types import TracebackType

from taskscope.freeze import safe_repr

#: How much of a message is kept in the buffer; the event holds less.
_LONGEST_MESSAGE = 64 * 1024


class Cause:
    """An error's type, its message and its traceback.

    The traceback is taken apart at once, without reading any source line, and written out in the background thread.
    Holding on to the exception itself would keep the frames of the task and all that is in them, and would let the last
    reference go in another thread, where the application's finalizers don't belong.
    """

    __slots__ = ("_traceback", "error_type", "message")

    def __init__(self, error_type: str, message: str, trace: traceback.TracebackException | None = None) -> None:
        self.error_type = error_type
        self.message = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE]
        self._traceback = trace

    @classmethod
    def of(cls, error: BaseException) -> "Cause":
        """The cause that an exception is; the message is its ``repr``, as in what TaskIQ's own middlewares send."""
        return cls(type_name(type(error)), safe_repr(error), _take_apart(error, error.__traceback__))

    @property
    def size(self) -> int:
        """About how many bytes it will be."""
        frames = len(self._traceback.stack) if self._traceback is not None else 0
        return len(self.message) + 150 * frames

    def traceback(self) -> str | None:
        """What ``traceback.format_exception`` gives, whole; nothing where there is none."""
        if self._traceback is None:
            return None
        try:
            return "".join(self._traceback.format())
        except Exception as error:
            return f"(no traceback: {type(error).__name__} while it was written out)"


def type_name(kind: type) -> str:
    """A class with its module: ``builtins.ValueError``."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _take_apart(error: BaseException, trace: TracebackType | None) -> traceback.TracebackException | None:
    try:
        return traceback.TracebackException(type(error), error, trace, lookup_lines=False, compact=True)
    except Exception:  # its own __str__ fails, or the stack is used up
        return None
