"""One connection to NATS JetStream, used by one thread in the way of :class:`taskscope.connection.Connection`."""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from taskscope.connection import CLIENT, Answer, NoAnswerError

if TYPE_CHECKING:
    from nats.aio.client import Client

#: How NATS knows a message that is sent again.
_MESSAGE_ID = "Nats-Msg-Id"


class NatsConnection:
    """Publishes bodies, one at a time, and waits for the stream's word on each.

    It has an event loop of its own, which runs only while something is published: the thread that uses it has no other,
    and none of the application's is touched.
    """

    def __init__(self, url: str, subject: str, credentials: str | None, ssl_context: ssl.SSLContext | None) -> None:
        """
        :raises ValueError: the URL is none of NATS, or the subject is none to publish to.
        :raises ImportError: nats-py is not installed.
        """
        for one in url.split(","):
            parts = urlsplit(one.strip())
            if parts.scheme not in ("nats", "tls") or not parts.hostname:
                raise ValueError(
                    "the URL of NATS must look like nats://host:port, or be some of these with commas between"
                )
        if not subject or any(c.isspace() or c in "*>" for c in subject):
            raise ValueError(f"the subject of NATS must be one to publish to, not {subject!r}")
        try:
            import nats  # noqa: F401
        except ImportError as error:
            raise ImportError("events go through NATS with nats-py: pip install 'taskscope[nats]'") from error
        self._servers = [one.strip() for one in url.split(",")]
        self._subject = subject
        self._credentials = credentials
        self._ssl_context = ssl_context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Client | None = None

    def publish(self, body: bytes, seconds: float) -> Answer:
        """Publishes a batch of events. The answer is that of HTTP which means the same:

        202 once the stream has it, 413 where it is larger than the server takes. What is published again with the same
        events has the same message id.

        :raises NoAnswerError: the stream didn't say within so many seconds that it has it.
        """
        try:
            return self._run(asyncio.wait_for(self._publish(body, seconds), seconds))
        except Exception as error:
            # Whatever it was: the next one begins anew.
            self.close()
            raise NoAnswerError(_reason(error)) from error

    def close(self) -> None:
        """Closes connection and loop."""
        loop, client = self._loop, self._client
        self._loop = self._client = None
        if loop is None:
            return
        with contextlib.suppress(Exception):
            if client is not None:
                loop.run_until_complete(asyncio.wait_for(client.close(), 0.5))
        with contextlib.suppress(Exception):
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    async def _publish(self, body: bytes, seconds: float) -> Answer:
        client = self._client
        if client is not None and not client.is_connected:
            with contextlib.suppress(Exception):
                await client.close()
            client = None
        if client is None:
            client = self._client = await self._connect(seconds)
        if 0 < client.max_payload < len(body):
            return Answer(413, None, b"{}")
        # Events have ids of their own, so that only a repetition has the same digest.
        headers = {_MESSAGE_ID: hashlib.blake2b(body, digest_size=16).hexdigest()}
        await client.jetstream(timeout=seconds).publish(self._subject, body, headers=headers)
        return Answer(202, None, b'{"rejected": 0}')

    async def _connect(self, seconds: float) -> "Client":
        import nats

        options: dict[str, Any] = {}
        if self._credentials is not None:
            options["user_credentials"] = self._credentials
        if self._ssl_context is not None:
            options["tls"] = self._ssl_context
        # When to try again is the sender's to say, and what goes wrong is logged once an outage, not once a try.
        return await nats.connect(
            self._servers,
            name=CLIENT,
            allow_reconnect=False,
            connect_timeout=max(1, int(seconds)),
            error_cb=_quiet,
            **options,
        )

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(work)


async def _quiet(_error: Exception) -> None:
    pass


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    if name == "NoRespondersError" or name == "NoStreamResponseError":
        return "no stream of NATS takes the subject"
    return str(error) or name
