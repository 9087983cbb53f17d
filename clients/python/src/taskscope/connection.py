"""One kept-alive HTTP connection to Taskscope, used by one thread."""

import contextlib
import http.client
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from taskscope.version import __version__

CLIENT = f"taskscope-python {__version__}"

#: An answer is read up to here. One that lists every event of a batch is a tenth of it.
_LONGEST_ANSWER = 1 << 20


class NoAnswerError(Exception):
    """The server can't be reached, or didn't answer in time."""


@dataclass(slots=True)
class Answer:
    """What the server said."""

    status: int
    retry_after: float | None
    body: bytes


class Connection:
    """Posts bodies, one at a time. The socket is opened when it is needed and again after it broke."""

    def __init__(self, url: str, token: str | None, ssl_context: ssl.SSLContext | None = None) -> None:
        """
        :raises ValueError: the URL is none of HTTP, or the token can't be a header's value.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the URL of Taskscope must look like http://host:port, not {url!r}")
        if token and not (token.isascii() and token.isprintable()):
            raise ValueError("the token of Taskscope must be printable ASCII")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._ssl_context = ssl_context
        self._headers = {"user-agent": CLIENT.replace(" ", "/"), "content-type": "application/json"}
        if token:
            self._headers["access-token"] = token
        self._http: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, seconds: float) -> Answer:
        """Posts a JSON body.

        :raises NoAnswerError: there was none within so many seconds.
        """
        reused = self._http is not None
        try:
            return self._try(path, body, seconds)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            self.close()
            if not reused:
                raise NoAnswerError(_reason(error)) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswerError(_reason(error)) from error
        # A server may close a connection that idles at the very moment in which it is used again.
        try:
            return self._try(path, body, seconds)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswerError(_reason(error)) from error

    def close(self) -> None:
        """Closes the socket."""
        if self._http is not None:
            with contextlib.suppress(Exception):
                self._http.close()
        self._http = None

    def _try(self, path: str, body: bytes, seconds: float) -> Answer:
        until = time.monotonic() + seconds
        connection = self._http
        if connection is None:
            connection = self._http = self._open(seconds)
            connection.connect()
        connection.sock.settimeout(max(until - time.monotonic(), 0.05))
        # What a server that refuses a body early has said can still be read, although not all could be sent.
        broken: ConnectionError | None = None
        try:
            connection.request("POST", self._path + path, body, self._headers)
        except ConnectionError as error:
            broken = error
        if connection.sock is not None:
            connection.sock.settimeout(max(until - time.monotonic(), 0.05))
        response = connection.getresponse()
        text = self._read(response, until)
        if broken is not None or not response.isclosed() or response.will_close:
            self.close()
        return Answer(response.status, _retry_after(response.getheader("retry-after")), text)

    def _open(self, seconds: float) -> http.client.HTTPConnection:
        if self._secure:
            context = self._ssl_context or ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=seconds)

    @staticmethod
    def _read(response: http.client.HTTPResponse, until: float) -> bytes:
        """Piece by piece, since a socket's time limit is one for each piece and not for all of them."""
        pieces = []
        length = 0
        while length < _LONGEST_ANSWER and (piece := response.read1(1 << 16)):
            pieces.append(piece)
            length += len(piece)
            if time.monotonic() > until:
                raise TimeoutError("timed out")
        if response.length == 0:
            response.close()  # which leaves the connection open for the next request
        return b"".join(pieces)


def _retry_after(value: str | None) -> float | None:
    """The seconds of a ``Retry-After``, which may also be a date; five minutes at the most."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), 300.0) if seconds == seconds else None


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
