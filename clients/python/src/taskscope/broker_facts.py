"""What a TaskIQ broker and its process tell of themselves, if asked politely: names differ from broker to broker."""

import multiprocessing

#: Where brokers keep the name of what they take tasks from: a string, an object with a name, or a list of these.
_QUEUE_ATTRIBUTES = (
    "queue_name",  # taskiq-redis
    "_queue_name",
    "_task_queues",  # taskiq-aio-pika
    "_sqs_queue_name",  # taskiq-aio-sqs
    "sqs_queue_name",
    "subject",  # taskiq-nats; its `queue` is a group of consumers
    "_kafka_topic",  # taskiq-aio-kafka
    "kafka_topic",
    "topic",
    "topic_name",
    "channel_name",  # taskiq-postgres, taskiq-asyncpg, taskiq-psqlpy
    "stream_name",
)


def queue_names(broker: object) -> list[str]:
    """The queues that a broker takes tasks from, the one that it sends to by default first."""
    for attribute in _QUEUE_ATTRIBUTES:
        names = _names(getattr(broker, attribute, None))
        if names:
            # taskiq-redis: streams beside the main one, by name.
            more = _names(list(getattr(broker, "additional_streams", None) or ()))
            return list(dict.fromkeys(names + more))[:100]
    return []


def _names(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, (list, tuple)):
        return [name for item in value for name in _names(item)]
    name = getattr(value, "name", None)
    return [name] if isinstance(name, str) and name else []


def concurrency() -> int | None:
    """How many tasks a process of ``taskiq worker`` runs at once at the most, where it has a limit.

    Only its receiver knows, which no middleware gets to see; but the process was started with the worker's arguments.
    """
    arguments = getattr(multiprocessing.current_process(), "_kwargs", {}).get("args")
    most = getattr(arguments, "max_async_tasks", None)
    jitter = getattr(arguments, "max_async_tasks_jitter", 0)
    if not isinstance(most, int) or most <= 0:
        return None
    return most + (jitter if isinstance(jitter, int) else 0)
