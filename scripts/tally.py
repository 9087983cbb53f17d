"""Adds up what test runners report: `tally.py FILE…` prints the numbers of passed, failed and skipped tests.

`tally.py --failures FILE…` prints what failed and why, in a few lines each.

A file is the output of cargo test, nextest or pytest, or the JSON report of Playwright.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ANSI = re.compile(r"\x1b\[[0-9;]*m")
# "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out"
CARGO = re.compile(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
# "Summary [ 0.010s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped"
NEXTEST = re.compile(r"^\s*Summary \[.*?\].*?run: (.*)$", re.MULTILINE)
# "==== 3 failed, 12 passed, 1 skipped in 0.12s ====", or without the bars with --quiet
PYTEST = re.compile(r"^=* ?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)
COUNT = re.compile(r"(\d+) ([a-z]+(?: out)?)")

# "---- events::a_test stdout ----", then what it printed
CARGO_FAILURE = re.compile(r"^---- (.+) stdout ----\n((?:.*\n)*?)(?=\n----|\n?failures:|\Z)", re.MULTILINE)
# "FAILED tests/test_buffer.py::test_it - AssertionError: …"
PYTEST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?$", re.MULTILINE)
# So many lines say why, without what surrounds it.
SHOWN = 14

KINDS = {
    "passed": "passed",
    "failed": "failed",
    "error": "failed",
    "errors": "failed",
    "timed out": "failed",
    "skipped": "skipped",
    "ignored": "skipped",
}


def tally(text: str) -> Counter[str]:
    """Counts the tests in the output of one runner, or of several."""
    if text.lstrip().startswith("{"):
        stats = json.loads(text)["stats"]
        return Counter(
            # A flaky test passed on a second try.
            passed=stats["expected"] + stats["flaky"],
            failed=stats["unexpected"],
            skipped=stats["skipped"],
        )
    text = ANSI.sub("", text)
    counts: Counter[str] = Counter()
    for passed, failed, ignored in CARGO.findall(text):
        counts.update(passed=int(passed), failed=int(failed), skipped=int(ignored))
    for summary in NEXTEST.findall(text) + PYTEST.findall(text):
        for number, kind in COUNT.findall(summary):
            if kind in KINDS:
                counts[KINDS[kind]] += int(number)
    return counts


def failures(text: str) -> Iterator[tuple[str, str]]:
    """The tests that failed, each with what it said."""
    if text.lstrip().startswith("{"):
        yield from in_suites(json.loads(text)["suites"])
        return
    text = ANSI.sub("", text)
    yield from CARGO_FAILURE.findall(text)
    yield from PYTEST_FAILURE.findall(text)


def in_suites(suites: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The same for the suites of a report of Playwright, which hold others."""
    for suite in suites:
        yield from in_suites(suite.get("suites", []))
        for spec in suite.get("specs", []):
            if not spec["ok"]:
                errors = [error for test in spec["tests"] for result in test["results"] for error in result["errors"]]
                for error in errors:
                    yield f"{spec['file']}:{spec['line']} {spec['title']}", ANSI.sub("", error.get("message", ""))


def main() -> None:
    wants_failures = sys.argv[1] == "--failures"
    files = [Path(name) for name in sys.argv[1 + wants_failures :]]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files if file.exists()]
    if wants_failures:
        for name, why in (failure for text in texts for failure in failures(text)):
            lines = [line for line in why.splitlines() if line.strip()]
            print(f"FAILED {name}", *(f"  {line[:200]}" for line in lines[:SHOWN]), sep="\n")
    else:
        total = sum(map(tally, texts), Counter[str]())
        print(total["passed"], total["failed"], total["skipped"])


if __name__ == "__main__":
    main()
