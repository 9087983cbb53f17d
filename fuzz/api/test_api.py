"""Schemathesis over the OpenAPI document of the running program, once for each kind of caller.

`scripts/schemathesis` calls it. TASKSCOPE_SCHEMATHESIS is `short` or `full`.
"""

import json
import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAM = ROOT / "target" / "debug" / "taskscope"
# The short form sends what follows from the document alone, the same every time.
FORMS = {
    "short": ["--phases", "examples,coverage", "--seed", "1"],
    "full": ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "50"],
}


@dataclass
class Server:
    """The running program, and tokens of those who may call it; anonymous has none."""

    url: str
    document: Path
    tokens: dict[str, str]


class Admin:
    """Somebody who has logged in."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.http = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        # The answer leads to a page, which it doesn't need.
        self.ask(
            "/login", urlencode({"name": "admin", "password": password}).encode(), "application/x-www-form-urlencoded"
        )

    def ask(self, path: str, body: bytes | None = None, content_type: str = "application/json") -> bytes:
        headers = {"content-type": content_type, "origin": self.url} if body is not None else {}
        with self.http.open(urllib.request.Request(self.url + path, body, headers)) as answer:
            return bytes(answer.read())

    def token(self, caller: str) -> str:
        kind = {"kind": "ingest"} if caller == "worker" else {"kind": "api", "role": caller}
        new = {"name": f"schemathesis-{caller}", **kind}
        return str(json.loads(self.ask("/api/v1/tokens", json.dumps(new).encode()))["secret"])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def log_in(url: str, password: str, program: subprocess.Popen[bytes]) -> Admin:
    """Logs in once the program answers, and its database too."""
    for _ in range(600):
        assert program.poll() is None, "the program ended: its log is above"
        try:
            return Admin(url, password)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            # Tries are limited.
            time.sleep(5)
        except OSError:
            time.sleep(0.1)
    raise AssertionError("nobody can log in within a minute")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("taskscope")
    # As root, Postgres runs as another user, who must get there.
    for folder in [directory, *list(directory.parents)[:2]]:
        folder.chmod(0o755)
    password = secrets.token_urlsafe(16)
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        "TASKSCOPE_ADDR": url.removeprefix("http://"),
        "TASKSCOPE_DATA_DIR": str(directory),
        "TASKSCOPE_LOGIN": "accounts",
        "TASKSCOPE_ADMIN_PASSWORD": password,
        "TASKSCOPE_SAMPLE_DATA": "true",
    }
    program = subprocess.Popen([PROGRAM], env=os.environ | settings)
    try:
        admin = log_in(url, password, program)
        document = directory / "openapi.json"
        document.write_bytes(admin.ask("/api/openapi.json"))
        yield Server(url, document, {role: admin.token(role) for role in ("worker", "viewer", "admin")})
        assert program.poll() is None, "the program ended"
    finally:
        program.terminate()
        program.wait(60)


@pytest.mark.parametrize("caller", ["anonymous", "worker", "viewer", "admin"])
def test_every_answer_is_as_documented(server: Server, caller: str) -> None:
    command = [
        "schemathesis",
        "--no-color",
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
        str(server.document),
    ]
    command += ["--url", server.url, "--continue-on-failure", *FORMS[os.environ.get("TASKSCOPE_SCHEMATHESIS", "short")]]
    if token := server.tokens.get(caller):
        command += ["--header", f"Authorization: Bearer {token}"]
    if caller == "worker":
        command += ["--include-tag", "ingest"]
    # What it found stands in its output.
    assert subprocess.run(command, cwd=server.document.parent).returncode == 0
    if token and caller != "worker":
        me = urllib.request.Request(f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(me) as answer:
            assert json.loads(answer.read())["role"] == caller, "the caller was who it should be to the end"
