"""Adds up what test runners report: `tally.py FILE…` prints the numbers of passed, failed and skipped tests.

A file is the output of cargo test, nextest or pytest, or the JSON report of Playwright.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

ANSI = re.compile(r"\x1b\[[0-9;]*m")
# "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out"
CARGO = re.compile(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
# "Summary [ 0.010s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped"
NEXTEST = re.compile(r"^\s*Summary \[.*?\].*?run: (.*)$", re.MULTILINE)
# "==== 3 failed, 12 passed, 1 skipped in 0.12s ====", or without the bars with --quiet
PYTEST = re.compile(r"^=* ?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)
COUNT = re.compile(r"(\d+) ([a-z]+(?: out)?)")

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


def main() -> None:
    total: Counter[str] = Counter()
    for name in sys.argv[1:]:
        file = Path(name)
        if file.exists():
            total += tally(file.read_text(encoding="utf-8", errors="replace"))
    print(total["passed"], total["failed"], total["skipped"])


if __name__ == "__main__":
    main()
