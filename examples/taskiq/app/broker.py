"""The broker: tasks travel through NATS JetStream, and a middleware reports each of them to Taskscope."""

import os

from taskiq import SimpleRetryMiddleware, TaskiqMiddleware
from taskiq.middlewares.taskiq_admin_middleware import TaskiqAdminMiddleware
from taskiq_nats import PullBasedJetStreamBroker

TASKSCOPE_URL = os.environ.get("TASKSCOPE_URL", "http://127.0.0.1:3000")
TASKSCOPE_TOKEN = os.environ.get("TASKSCOPE_TOKEN", "")
NATS_URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4223")
BROKER_NAME = "taskscope-example"


def reporting_middleware(name: str) -> TaskiqMiddleware:
    """Taskscope's own middleware, or either of the stock ones that report tasks over HTTP."""
    if name == "taskscope":
        # Not on this application's list of packages: it comes from clients/python of the same repository.
        from taskscope import TaskscopeMiddleware

        return TaskscopeMiddleware(url=TASKSCOPE_URL, token=TASKSCOPE_TOKEN)
    if name == "admin":
        return TaskiqAdminMiddleware(url=TASKSCOPE_URL, api_token=TASKSCOPE_TOKEN, taskiq_broker_name=BROKER_NAME)
    if name == "dashboard":
        from taskiq_dashboard import DashboardMiddleware  # heavy to import, and only needed here

        return DashboardMiddleware(url=TASKSCOPE_URL, api_token=TASKSCOPE_TOKEN, broker_name=BROKER_NAME)
    raise SystemExit(f"TASKSCOPE_MIDDLEWARE must be taskscope, admin or dashboard, not {name!r}")


broker = PullBasedJetStreamBroker(
    servers=NATS_URL,
    subject="taskscope.example",
    stream_name="taskscope_example",
    durable="workers",
    # A worker that waits for a message without limit doesn't notice that it is told to stop.
    pull_consume_timeout=1,
    connect_timeout=5,
).with_middlewares(
    # Keeps the cause of a failed attempt visible, where the default would replace it by NoResultError.
    SimpleRetryMiddleware(default_retry_count=3, no_result_on_retry=False),
    reporting_middleware(os.environ.get("TASKSCOPE_MIDDLEWARE", "admin")),
)
