"""Any value becomes JSON of a bounded size, and nothing raises."""

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid
from collections import OrderedDict, UserDict, deque, namedtuple
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from taskscope.events import bounded_json, to_json
from taskscope.freeze import REDACTED, cut_text, freeze

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Model(pydantic.BaseModel):
    name: str
    when: datetime.date
    secret: pydantic.SecretStr = pydantic.SecretStr("x")
    hidden: str = pydantic.Field(default="h", exclude=True)


class Unserialisable(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    thing: object


@dataclasses.dataclass
class Order:
    id: int
    lines: list[Any]


class Plain:
    def __repr__(self) -> str:
        return "Plain()"


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def through(value: object, limit: int = 4096) -> Any:  # noqa: ANN401
    """What the server reads."""
    return json.loads(to_json(freeze(value, limit)[0]), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


CASES: list[tuple[object, object]] = [
    (None, None),
    (True, True),
    (0.1 + 0.2, 0.30000000000000004),
    (float("nan"), None),
    ([float("inf"), -float("inf")], [None, None]),
    (2**70, 1180591620717411303424),
    (-(2**70), -1180591620717411303424),
    (10**5000, "(cut: an integer of 16610 bits)"),
    ("жлоб", "жлоб"),
    ("a\0b", "a\0b"),
    ("\ud800", "\\ud800"),
    (b"text", "text"),
    (b"\xff\x00", "b'\\xff\\x00'"),
    ((1, {2}), [1, [2]]),
    (deque([1]), [1]),
    (Point(1, 2), [1, 2]),
    (OrderedDict(a=1), {"a": 1}),
    ({1: "a", None: "b", 2.5: "c", Colour.RED: "d"}, {"1": "a", "None": "b", "2.5": "c", "red": "d"}),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (Text("s"), "s"),
    (decimal.Decimal("1.10"), "1.10"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (datetime.date(2026, 11, 24), "2026-11-24"),
    (datetime.datetime(2026, 11, 24, 10, tzinfo=datetime.timezone.utc), "2026-11-24T10:00:00Z"),
    (datetime.timedelta(seconds=90), "PT1M30S"),
    (datetime.timedelta(days=1, microseconds=500_000), "P1DT0.5S"),
    (datetime.timedelta(0), "PT0S"),
    (datetime.timedelta(seconds=-90), "-PT1M30S"),
    (Order(1, [Point(1, 2)]), {"id": 1, "lines": [[1, 2]]}),
    (Model(name="n", when=datetime.date(2026, 1, 2)), {"name": "n", "when": "2026-01-02", "secret": "**********"}),
    (Unserialisable(thing=Plain()), "Unserialisable(thing=Plain())"),
    (Plain(), "Plain()"),
    (Plain, "<class 'test_freeze.Plain'>"),
    (Broken(), "<test_freeze.Broken whose repr fails: RuntimeError>"),
    ({"a": Broken()}, {"a": "<test_freeze.Broken whose repr fails: RuntimeError>"}),
    (UserDict(a=1), "{'a': 1}"),
]


@pytest.mark.parametrize(("value", "expected"), CASES, ids=range(len(CASES)))
def test_every_kind_of_value(value: object, expected: object) -> None:
    assert through(value) == expected


def test_as_the_stock_middleware_writes_them() -> None:
    from taskiq import TaskiqResult

    values = [
        (1, 2), {3}, decimal.Decimal("1.5"), uuid.UUID(int=7), pathlib.Path("x"), datetime.date(2026, 1, 1),
        datetime.datetime(2026, 1, 1, 1, 2, 3, 4), datetime.time(1, 2), datetime.timedelta(hours=30, seconds=5),
        Colour.RED, b"bytes", Order(1, []), 0.1, 10**30, "é", {"k": [None, True]},
    ]  # fmt: skip
    for value in values:
        stock = TaskiqResult(is_err=False, return_value=value, execution_time=0.0).model_dump(mode="json")
        assert through(value) == json.loads(json.dumps(stock["return_value"])), value


def test_what_contains_itself_ends() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    both: dict[str, Any] = {"loop": loop}
    both["self"] = both
    assert through(both) == {"loop": [1, "… (cut: it contains itself)"], "self": "… (cut: it contains itself)"}
    order = Order(1, [])
    order.lines += [order, order]
    assert len(to_json(freeze(order, 4096)[0])) < 8192


def test_deep_nesting_ends() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    text = to_json(freeze(deep, 4096)[0]).decode()
    assert text.count("[") == 32
    assert "nested deeper than 32 levels" in text


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_000_000,
        "ж" * 100_000,
        "\x00" * 100_000,
        '"' * 100_000,
        "\ud800" * 100_000,
        b"\xff" * 100_000,
        list(range(1_000_000)),
        {str(n): n for n in range(100_000)},
        {"k" * 100_000: 1, "m" * 100_000: 2},
        [["y" * 100] * 100] * 100,
        [[[[[[]] * 50] * 50] * 50] * 50] * 50,
        [10**300] * 10_000,
        {"ключ" * 100: "значение" * 1000},
        [1.7976931348623157e308] * 10_000,
    ],
    ids=lambda value: "" if isinstance(value, int) else type(value).__name__,
)
@pytest.mark.parametrize("limit", [4096, 32 * 1024])
def test_the_size_is_bounded_and_the_cut_is_marked(value: object, limit: int) -> None:
    frozen, size = freeze(value, limit - 256)
    text = bounded_json(frozen, limit)
    assert len(text) <= limit
    assert size <= limit * 2
    assert "cut:" in json.loads(text) if isinstance(json.loads(text), str) else "cut:" in text.decode()


class Counted(list[int]):
    """Counts what is read of it."""

    read = 0

    def __iter__(self) -> Iterator[int]:
        for value in super().__iter__():
            self.read += 1
            yield value


def test_no_more_is_read_than_is_kept() -> None:
    value = Counted(range(5_000_000))
    frozen, _ = freeze({"value": value}, 32 * 1024)
    assert isinstance(frozen, dict)
    assert isinstance(frozen["value"], list)
    assert value.read == len(frozen["value"]) < 10_000


def test_a_structure_that_is_cut_stays_one() -> None:
    frozen, _ = freeze({"first": 1, "list": ["x" * 100] * 100, "last": 2}, 1000)
    assert isinstance(frozen, dict)
    assert frozen["first"] == 1
    assert isinstance(frozen["list"], list)
    assert "more)" in str(frozen["list"][-1])
    assert frozen["…"] == "(cut: 1 more)"


def test_secrets_are_hidden_at_any_depth() -> None:
    value = {"Password": "p", "nested": [{"token": {"a": 1}, "other": 1}], "m": {"PASSWORD": None}}
    assert freeze(value, 4096, {"password", "token"})[0] == {
        "Password": REDACTED,
        "nested": [{"token": REDACTED, "other": 1}],
        "m": {"PASSWORD": REDACTED},
    }


def test_a_snapshot_does_not_follow_its_value() -> None:
    value = {"a": [1, {"b": 2}]}
    frozen, _ = freeze(value, 4096)
    value["a"].append(3)
    value["a"][1]["b"] = 4  # type: ignore[index]
    assert frozen == {"a": [1, {"b": 2}]}


def test_a_text_is_cut_between_characters() -> None:
    assert cut_text("жжж", 6) == "жжж"
    assert cut_text("жжжж", 7) == "жжж… (cut: 4 characters in all)"
