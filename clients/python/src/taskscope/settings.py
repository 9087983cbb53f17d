"""How events are buffered and sent."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """See the options in the README."""

    url: str
    token: str | None
    buffer_events: int
    buffer_bytes: int
    flush_interval: float
    batch_events: int
    batch_bytes: int
    heartbeat_interval: float
    request_timeout: float
    shutdown_timeout: float
    ssl_context: ssl.SSLContext | None = None
    nats_url: str | None = None
    nats_subject: str = "taskscope.events.tasks"
    nats_credentials: str | None = None

    @property
    def where(self) -> str:
        """Where events go, for people; without the password that a URL may hold."""
        return self.url if self.nats_url is None else f"NATS ({self.nats_subject})"

    def check(self) -> None:
        """
        :raises ValueError: a number makes no sense; the text names it.
        """
        least = {
            "buffer_events": 1,
            "buffer_bytes": 1024,
            "flush_interval": 0.0,
            "batch_events": 1,
            "batch_bytes": 1024,
            "heartbeat_interval": 0.1,
            "request_timeout": 0.1,
            "shutdown_timeout": 0.0,
        }
        for name, minimum in least.items():
            if not getattr(self, name) >= minimum:
                raise ValueError(f"{name} must be at least {minimum}, not {getattr(self, name)!r}")
        if self.batch_events > 10_000:
            raise ValueError(f"batch_events must be at most 10000, not {self.batch_events!r}")
        if self.heartbeat_interval > 3600:
            raise ValueError(f"heartbeat_interval must be at most 3600, not {self.heartbeat_interval!r}")
