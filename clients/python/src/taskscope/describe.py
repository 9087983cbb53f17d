"""What a TaskIQ message says of its task."""

import inspect
from typing import Any

from taskiq import AsyncBroker, TaskiqMessage

from taskscope import broker_facts
from taskscope.events import LABELS_LIMIT, PARAMS_LIMIT, Description
from taskscope.freeze import REDACTED, Json, freeze

#: The labels that attempts are numbered by come first where labels have to be cut.
_COUNTERS = ("_retries", "X-Taskiq-requeue", "max_retries", "retry_on_error", "queue_name")

#: How far below its limit a snapshot stays, for what its size is underestimated by.
_MARGIN = 1024


class Describer:
    """Makes descriptions of messages, as far as it may."""

    def __init__(self, queue: str | None, send_params: bool, redact: frozenset[str]) -> None:
        self._queue = queue
        self._send_params = send_params
        self._redact = redact
        self._queues: tuple[object, list[str]] | None = None
        self._names: dict[str, list[str]] = {}

    def describe(self, broker: AsyncBroker, message: TaskiqMessage, worker: str | None) -> Description:
        """A snapshot of what the message says now."""
        labels, size = self._labels(message.labels)
        params = None
        if self._send_params:
            params, params_size = freeze(self._params(broker, message), PARAMS_LIMIT - _MARGIN, self._redact)
            size += params_size
        return Description(
            message.task_id,
            message.task_name,
            self._queue_of(broker, message),
            worker,
            _count(message.labels.get("max_retries")),
            labels,
            params,
            size + len(message.task_id) + len(message.task_name),
        )

    def queues(self, broker: AsyncBroker) -> list[str]:
        """The queues of a broker, the default one first."""
        if self._queue is not None:
            return [self._queue]
        if self._queues is None or self._queues[0] is not broker:
            self._queues = broker, broker_facts.queue_names(broker)
        return self._queues[1]

    def _queue_of(self, broker: AsyncBroker, message: TaskiqMessage) -> str | None:
        label = message.labels.get("queue_name")
        if label and isinstance(label, str):
            return label
        names = self.queues(broker)
        return names[0] if names else None

    def _labels(self, labels: dict[str, Any]) -> tuple[Json, int]:
        frozen, size = freeze(labels, LABELS_LIMIT - _MARGIN, self._redact)
        if size >= LABELS_LIMIT - _MARGIN:
            first = {name: labels[name] for name in _COUNTERS if name in labels}
            frozen, size = freeze({**first, **labels}, LABELS_LIMIT - _MARGIN, self._redact)
        return frozen, size

    def _params(self, broker: AsyncBroker, message: TaskiqMessage) -> dict[str, Any]:
        """Keyword arguments as they are;

        positional ones under ``args`` beside them, as the server does with the stock clients'.
        """
        if not message.args:
            return message.kwargs
        args = message.args
        if self._redact:
            names = self._positional(broker, message.task_name)
            hidden = [name.lower() in self._redact for name in names[: len(args)]]
            args = [REDACTED if hide else arg for arg, hide in zip(args, hidden, strict=False)] + args[len(hidden) :]
        return {"args": args, "kwargs": message.kwargs}

    def _positional(self, broker: AsyncBroker, task_name: str) -> list[str]:
        """The names of a task's parameters, where the task is known here."""
        if task_name not in self._names:
            task = broker.find_task(task_name)
            parameters = inspect.signature(task.original_func).parameters.values() if task is not None else ()
            self._names[task_name] = [
                parameter.name
                for parameter in parameters
                if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            ]
        return self._names[task_name]


def _count(value: object) -> int | None:
    """A label as a number: it is a string where the task is sent."""
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number < 1_000_000 else None
