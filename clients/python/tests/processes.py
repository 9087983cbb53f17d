"""Real processes: NATS, Redis, and TaskIQ's workers."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recording import wait_for

FOLDER = Path(__file__).parent


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """A server, from when it listens until the end."""
    if shutil.which(command[0]) is None:
        raise RuntimeError(f"{command[0]} must be installed: apt-get install {command[0]}")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: _listens(port), f"{command[0]} listens; its log is {log}")
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def nats(folder: Path) -> Iterator[str]:
    """A NATS with JetStream; gives its address."""
    port = free_port()
    command = ["nats-server", "--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(folder)]
    with running(command, port, folder / "nats.log"):
        yield f"nats://127.0.0.1:{port}"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis; gives its address."""
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with running(command, port, folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}"


class Worker:
    """A `taskiq worker` (or scheduler) with one process, in a session of its own."""

    def __init__(self, environment: dict[str, str], log: Path, *arguments: str, command: str = "worker") -> None:
        self.log = log
        target = ["app:broker", "--workers", "1"] if command == "worker" else ["app:scheduler"]
        path = os.pathsep.join([str(FOLDER), str(FOLDER.parent / "src")])
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "taskiq", command, *target, *arguments],
                cwd=FOLDER,
                env={**os.environ, "PYTHONPATH": path, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_it_listens(self) -> "Worker":
        """Waits until it takes tasks."""
        wait_for(lambda: "Listening started" in self.output or self.process.poll() is not None, "the worker listens")
        assert self.process.poll() is None, self.output
        return self

    @property
    def output(self) -> str:
        """What it has logged."""
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tells it to end, and waits for it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def kill(self) -> None:
        """Ends all of its processes at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait(10)
