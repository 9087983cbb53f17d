"""Reports background tasks to Taskscope.

``TaskscopeMiddleware`` is for TaskIQ; it is loaded when it is first asked for, so that this package can be imported
without TaskIQ.
"""

from typing import TYPE_CHECKING

from taskscope.version import __version__

if TYPE_CHECKING:
    from taskscope.middleware import TaskscopeMiddleware

__all__ = ["TaskscopeMiddleware", "__version__"]


def __getattr__(name: str) -> object:
    if name != "TaskscopeMiddleware":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from taskscope.middleware import TaskscopeMiddleware
    except ModuleNotFoundError as error:
        if error.name != "taskiq":
            raise
        raise ImportError("TaskscopeMiddleware needs TaskIQ: pip install 'taskscope[taskiq]'") from error
    return TaskscopeMiddleware
