"""Batches, refusals, outages and the end, against a server that behaves like Taskscope at its best and at its worst."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conftest import queued, settings
from recording import Answer, Taskscope, wait_for
from taskscope import outage
from taskscope.reporter import Reporter
from taskscope.settings import Settings

Make = Callable[[Settings], Reporter]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes reporters, and closes them."""
    made: list[Reporter] = []

    def make(options: Settings) -> Reporter:
        made.append(Reporter(options, on_exit=lambda: None, on_fork=lambda: None))
        return made[-1]

    yield make
    for reporter in made:
        reporter.close(0.0)


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(outage, "LONGEST_PAUSE", 0.05)


def ids(server: Taskscope) -> list[str]:
    return [event["task_id"] for event in server.events]


def statuses(status: int, headers: dict[str, str] | None = None, body: bytes = b"{}") -> Callable[[str, bytes], Answer]:
    return lambda _path, _body: (status, headers or {}, body)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_events_arrive_in_order_in_batches_over_one_connection(taskscope: Taskscope, make: Make) -> None:
    reporter = make(settings(taskscope.url, batch_events=50))
    for n in range(500):
        reporter.report(queued(f"t{n}"))
    wait_for(lambda: reporter.buffered == 0)
    assert ids(taskscope) == [f"t{n}" for n in range(500)]
    assert max(len(batch) for batch in taskscope.batches) == 50
    assert taskscope.connections == 1
    assert len({event["event_id"] for event in taskscope.events}) == 500
    assert reporter.dropped == 0


def test_a_batch_is_bounded_in_bytes(taskscope: Taskscope, make: Make) -> None:
    reporter = make(settings(taskscope.url, batch_bytes=50_000))
    for n in range(20):
        reporter.report(queued(f"t{n}", params={"x": "y" * 10_000}))
    wait_for(lambda: reporter.buffered == 0)
    assert [len(batch) for batch in taskscope.batches] == [4] * 5


def test_refused_events_are_counted_and_the_others_kept(
    taskscope: Taskscope, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    reporter = make(settings(taskscope.url))
    for n in range(10):
        reporter.report(queued(f"t{n}", task_name="" if n % 2 else "app:task"))
    wait_for(lambda: reporter.buffered == 0)
    assert ids(taskscope) == ["t0", "t2", "t4", "t6", "t8"]
    assert reporter.dropped == 5
    assert len(taskscope.refused) == 5, "refused events are not sent again"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "refused 5 events" in caplog.text


def test_a_batch_of_which_all_is_refused_is_not_sent_again(taskscope: Taskscope, make: Make) -> None:
    reporter = make(settings(taskscope.url))
    reporter.report(queued("bad", task_name=""))
    wait_for(lambda: reporter.buffered == 0)
    reporter.report(queued("good"))
    wait_for(lambda: reporter.buffered == 0)
    assert (ids(taskscope), reporter.dropped, len(taskscope.refused)) == (["good"], 1, 1)


@pytest.mark.parametrize("status", [503, 401, 404, 429, 500, 302, 200])
def test_anything_but_an_answer_of_taskscope_is_tried_again(
    taskscope: Taskscope, make: Make, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.INFO, "taskscope")
    taskscope.behaviour = statuses(status, body=b'{"error": "not now"}')
    reporter = make(settings(taskscope.url))
    reporter.report(queued("first"))
    wait_for(lambda: taskscope.requests >= 4)
    reporter.report(queued("second"))
    taskscope.behaviour = None
    wait_for(lambda: reporter.buffered == 0)
    assert ids(taskscope) == ["first", "second"]
    assert reporter.dropped == 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"], "one line an outage, one at its end"
    assert f"it answers {status} not now" in caplog.text


def test_a_wrong_token_is_said(taskscope: Taskscope, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    reporter = make(settings(taskscope.url, token="wrong"))
    reporter.report(queued())
    wait_for(lambda: taskscope.requests >= 2)
    assert "it answers 401 the token is wrong" in caplog.text


@pytest.mark.parametrize("value", ["0.3", "date"])
def test_retry_after_is_kept_to(taskscope: Taskscope, make: Make, value: str) -> None:
    from email.utils import formatdate

    told: list[float] = []
    came: list[float] = []

    def busy_once(_path: str, _body: bytes) -> Answer | None:
        came.append(time.time())
        if told:
            return None
        told.append(time.time() + 0.3 if value == "0.3" else int(time.time()) + 2)
        return 503, {"retry-after": value if value == "0.3" else formatdate(told[0], usegmt=True)}, b"{}"

    taskscope.behaviour = busy_once
    reporter = make(settings(taskscope.url))
    reporter.report(queued())
    wait_for(lambda: reporter.buffered == 0)
    assert len(came) == 2
    assert came[1] >= told[0] - 0.005


def test_a_body_that_is_too_large_is_halved(taskscope: Taskscope, make: Make) -> None:
    sizes: list[int] = []

    def at_most_seven(_path: str, body: bytes) -> Answer | None:
        batch = json.loads(body)
        sizes.append(len(batch))
        too_large = len(batch) > 7 or any(event["task_id"] == "huge" for event in batch)
        return (413, {}, b"{}") if too_large else None

    taskscope.behaviour = at_most_seven
    reporter = make(settings(taskscope.url))
    for n in range(40):
        reporter.report(queued("huge" if n == 20 else f"t{n}"))
    wait_for(lambda: reporter.buffered == 0)
    assert sorted(ids(taskscope)) == sorted(f"t{n}" for n in range(40) if n != 20)
    assert reporter.dropped == 1, "the one that is too large by itself"
    assert sizes.count(1) >= 1


def test_a_server_that_is_away_costs_nothing_and_loses_nothing(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    reporter = make(settings(f"http://127.0.0.1:{port}"))
    for n in range(5):
        reporter.report(queued(f"t{n}"))
    wait_for(lambda: caplog.records)
    server = Taskscope(port)
    wait_for(lambda: reporter.buffered == 0)
    assert ids(server) == [f"t{n}" for n in range(5)]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    server.close()


def test_a_server_that_restarts_between_two_batches(make: Make) -> None:
    first = Taskscope()
    reporter = make(settings(first.url))
    reporter.report(queued("t1"))
    wait_for(lambda: reporter.buffered == 0)
    first.close()
    second = Taskscope(first.port)
    reporter.report(queued("t2"))
    wait_for(lambda: reporter.buffered == 0)
    assert (ids(first), ids(second)) == (["t1"], ["t2"])
    second.close()


def test_a_connection_that_the_server_closed_is_opened_anew_without_a_word(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """As it happens when a server ends idle connections: it takes one request, and closes without saying so."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[bytes] = []

    def serve() -> None:
        for _ in range(3):
            connection, _address = listener.accept()
            with connection:
                body = b""
                while b"]" not in body:
                    body += connection.recv(65536)
                taken.append(body)
                connection.sendall(b'HTTP/1.1 202 Accepted\r\ncontent-length: 14\r\n\r\n{"rejected":0}')

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    reporter = make(settings(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    for n in range(3):
        reporter.report(queued(f"t{n}"))
        wait_for(lambda: reporter.buffered == 0)
    thread.join(10)
    assert [b'"t%d"' % n in body for n, body in enumerate(taken)] == [True] * 3
    assert not caplog.records
    listener.close()


def test_an_answer_to_half_a_body_is_read(make: Make) -> None:
    """As a proxy does that refuses a large body by its length."""
    listener = socket.create_server(("127.0.0.1", 0))
    answered: list[int] = []

    def serve() -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(1024)
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                if length > 100_000:
                    answered.append(413)
                    connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    connection.shutdown(socket.SHUT_WR)
                else:
                    answered.append(202)
                    body = head.split(b"\r\n\r\n", 1)[1]
                    while len(body) < length:
                        body += connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 14\r\nconnection: close\r\n\r\n")
                    connection.sendall(b'{"rejected":0}')
                while connection.recv(65536):
                    pass

    threading.Thread(target=serve, daemon=True).start()
    reporter = make(settings(f"http://127.0.0.1:{listener.getsockname()[1]}", batch_bytes=4 << 20))
    for n in range(40):
        reporter.report(queued(f"t{n}", params={"x": "y" * 20_000}))
    wait_for(lambda: reporter.buffered == 0)
    assert answered[0] == 413
    assert 202 in answered
    assert reporter.dropped == 0
    listener.close()


def test_a_server_that_does_not_answer_is_given_up_in_time(taskscope: Taskscope, make: Make) -> None:
    hold = threading.Event()

    def slow_once(_path: str, _body: bytes) -> Answer | None:
        if not hold.is_set():
            hold.wait(20)
        return None

    taskscope.behaviour = slow_once
    reporter = make(settings(taskscope.url, request_timeout=0.2))
    reporter.report(queued())
    wait_for(lambda: taskscope.requests >= 2)
    hold.set()
    wait_for(lambda: reporter.buffered == 0)
    assert len({event["event_id"] for batch in taskscope.batches for event in batch}) == 1, "the same event again"


def test_a_server_that_drips_is_given_up_in_time(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _address = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 100000\r\n\r\n")
            try:
                while True:
                    connection.sendall(b" ")
                    time.sleep(0.02)
            except OSError:
                return

    threading.Thread(target=drip, daemon=True).start()
    reporter = make(settings(f"http://127.0.0.1:{listener.getsockname()[1]}", request_timeout=0.3))
    reporter.report(queued())
    wait_for(lambda: "timed out" in caplog.text)
    listener.close()


def test_a_full_buffer_drops_new_events_and_counts_them(taskscope: Taskscope, make: Make) -> None:
    taskscope.behaviour = statuses(503)
    reporter = make(settings(taskscope.url, buffer_events=10))
    for n in range(25):
        reporter.report(queued(f"t{n}"))
    assert (reporter.buffered, reporter.dropped) == (10, 15)
    taskscope.behaviour = None
    wait_for(lambda: reporter.buffered == 0)
    assert ids(taskscope) == [f"t{n}" for n in range(10)]
    reporter.report(queued("later"))
    wait_for(lambda: "later" in ids(taskscope))


def test_the_buffer_is_bounded_in_bytes_too(taskscope: Taskscope, make: Make) -> None:
    taskscope.behaviour = statuses(503)
    reporter = make(settings(taskscope.url, buffer_bytes=100_000))
    for n in range(100):
        reporter.report(queued(f"t{n}", params={"x": "y" * 10_000}, size=10_000))
    assert 8 <= reporter.buffered <= 10
    assert reporter.dropped == 100 - reporter.buffered


def test_many_threads_may_report_at_once(taskscope: Taskscope, make: Make) -> None:
    reporter = make(settings(taskscope.url, buffer_events=10_000))
    before = threading.active_count()

    def work(thread: int) -> None:
        for n in range(200):
            reporter.report(queued(f"t{thread}-{n}"))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: reporter.buffered == 0)
    assert len(set(ids(taskscope))) == 1600
    wait_for(lambda: threading.active_count() == before + 2, "one thread of ours, and one of the server's")


def beat() -> dict[str, Any]:
    return {
        "worker": "w",
        "host": "h",
        "pid": 1,
        "started_at": "2026-11-24T10:30:00.000000Z",
        "client": "c",
        "interval_ms": 100,
    }


def test_heartbeats_say_what_waits_and_what_was_dropped(taskscope: Taskscope, make: Make) -> None:
    taskscope.behaviour = lambda path, _body: (503, {}, b"{}") if path.endswith("events") else None
    reporter = make(settings(taskscope.url, buffer_events=2, heartbeat_interval=0.1))
    reporter.send_heartbeats(beat)
    wait_for(lambda: len(taskscope.heartbeats) >= 2)
    for n in range(5):
        reporter.report(queued(f"t{n}"))
    wait_for(lambda: taskscope.heartbeats[-1]["dropped"] == 3)
    assert taskscope.heartbeats[-1]["buffered"] == 2
    taskscope.behaviour = None
    wait_for(lambda: taskscope.heartbeats[-1]["buffered"] == 0)
    reporter.close(5)
    assert [beat["stopping"] for beat in taskscope.heartbeats[-2:]] == [False, True]
    assert taskscope.heartbeats[-1]["dropped"] == 3


def test_a_server_without_heartbeats_takes_events_all_the_same(
    taskscope: Taskscope, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    taskscope.behaviour = lambda path, _body: (404, {}, b"{}") if path.endswith("heartbeats") else None
    reporter = make(settings(taskscope.url, heartbeat_interval=0.1))
    reporter.send_heartbeats(beat)
    wait_for(lambda: taskscope.requests >= 3)
    reporter.report(queued())
    wait_for(lambda: reporter.buffered == 0)
    assert [record.getMessage().split(": ")[0] for record in caplog.records] == [
        f"Taskscope at {taskscope.url} takes no heartbeats"
    ]


def test_heartbeats_go_on_during_a_long_backlog(taskscope: Taskscope, make: Make) -> None:
    def slow(path: str, _body: bytes) -> Answer | None:
        if path.endswith("events"):
            time.sleep(0.05)
        return None

    taskscope.behaviour = slow
    reporter = make(settings(taskscope.url, batch_events=1, heartbeat_interval=0.1))
    reporter.send_heartbeats(beat)
    for n in range(40):
        reporter.report(queued(f"t{n}"))
    wait_for(lambda: reporter.buffered == 0)
    assert len([beat for beat in taskscope.heartbeats if beat["buffered"]]) >= 5


def test_closing_sends_what_there_is_and_a_later_event_opens_again(taskscope: Taskscope, make: Make) -> None:
    reporter = make(settings(taskscope.url, flush_interval=60.0))
    reporter.report(queued("t1"))
    reporter.close(5)
    assert reporter.is_closed
    assert ids(taskscope) == ["t1"]
    reporter.report(queued("t2"))
    assert not reporter.is_closed
    reporter.close(5)
    assert ids(taskscope) == ["t1", "t2"]


def test_closing_waits_for_a_server_that_comes_back(taskscope: Taskscope, make: Make) -> None:
    reporter = make(settings(taskscope.url))
    reporter.report(queued("t1"))
    wait_for(lambda: reporter.buffered == 0)
    taskscope.behaviour = statuses(503)
    reporter.report(queued("t2"))
    before = taskscope.requests
    reporter.begin_close(10)
    wait_for(lambda: taskscope.requests >= before + 3)
    taskscope.behaviour = None
    wait_for(lambda: reporter.is_closed)
    assert ids(taskscope) == ["t1", "t2"]


def test_closing_gives_up_at_once_where_there_never_was_a_server(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    reporter = make(settings(f"http://127.0.0.1:{free_port()}"))
    reporter.report(queued("t1"))
    wait_for(lambda: caplog.records)
    reporter.close(3600)
    assert reporter.is_closed
    assert reporter.dropped == 1
    assert "1 events could not be sent" in caplog.text


def test_closing_ends_in_time_while_the_server_holds_a_request(taskscope: Taskscope, make: Make) -> None:
    hold = threading.Event()

    def slow(_path: str, _body: bytes) -> Answer | None:
        hold.wait(30)
        return None

    taskscope.behaviour = slow
    reporter = make(settings(taskscope.url, request_timeout=3600))
    reporter.report(queued("t1"))
    reporter.begin_close(0.3)
    wait_for(lambda: reporter.is_closed)
    hold.set()


def test_an_event_that_cannot_be_written_costs_no_other(taskscope: Taskscope, make: Make) -> None:
    reporter = make(settings(taskscope.url))
    reporter.report(queued("t1"))
    reporter.report(queued("t2", params=object()))
    reporter.report(queued("t3"))
    wait_for(lambda: reporter.buffered == 0)
    assert (ids(taskscope), reporter.dropped) == (["t1", "t3"], 1)


def test_a_base_path_is_kept(taskscope: Taskscope, make: Make) -> None:
    paths: list[str] = []

    def note(path: str, _body: bytes) -> Answer:
        paths.append(path)
        return 202, {}, b'{"rejected": 0}'

    taskscope.behaviour = note
    for url in (f"{taskscope.url}/base/", f"{taskscope.url}/base"):
        reporter = make(settings(url))
        reporter.report(queued())
        reporter.close(5)
    assert paths == ["/base/api/v1/events"] * 2


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://x", "http://", "http://x:port"])
def test_a_url_that_is_none_is_refused_at_once(make: Make, url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        make(settings(url))


def test_settings_that_make_no_sense_are_refused_at_once(make: Make) -> None:
    for name, value in {
        "buffer_events": 0,
        "heartbeat_interval": 0,
        "flush_interval": -1.0,
        "batch_events": 20_000,
    }.items():
        with pytest.raises(ValueError, match=name):
            make(settings("http://x", **{name: value}))
    with pytest.raises(ValueError, match="token"):
        make(settings("http://x", token="a\nb"))


def test_a_call_to_close_is_heard_whenever_it_comes(taskscope: Taskscope, make: Make) -> None:
    """It may come while the thread has just been woken by the event before."""
    for n in range(300):
        reporter = make(settings(taskscope.url, flush_interval=3600))
        reporter.report(queued(f"t{n}"))
        reporter.close(30)
        assert reporter.buffered == 0
    assert [event["task_id"] for batch in taskscope.batches for event in batch] == [f"t{n}" for n in range(300)]
