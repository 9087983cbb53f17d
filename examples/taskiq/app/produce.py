"""Sends tasks to the broker.

`python -m app.produce` sends a steady mix until it is stopped, `--once NAME --kwargs '{…}'` a single task.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from app import tasks  # noqa: F401, importing them registers them
from app.broker import NATS_URL, broker

Kwargs = dict[str, Any]


def some_ids(dice: random.Random) -> list[int]:
    return sorted(dice.sample(range(1, 201), dice.randint(2, 8)))


def provider(dice: random.Random) -> str:
    return dice.choices(["openai", "busy", "offline"], [80, 15, 5])[0]


# How often each task type is sent, relative to the others, and with what.
MIX: dict[str, tuple[int, Callable[[random.Random], Kwargs]]] = {
    "score_message_task": (40, lambda dice: {"message_id": dice.randint(1, 200)}),
    "ingest_telegram_messages_task": (15, lambda dice: {"chat": dice.choice(["team", "support"]), "limit": 20}),
    "embed_messages_batch_task": (12, lambda dice: {"message_ids": some_ids(dice), "provider_id": provider(dice)}),
    "embed_atoms_batch_task": (8, lambda dice: {"atom_ids": some_ids(dice), "provider_id": provider(dice)}),
    "extract_knowledge_from_messages_task": (
        8,
        lambda dice: {"message_ids": some_ids(dice) if dice.random() < 0.85 else [], "provider_id": "openai"},
    ),
    "score_unscored_messages_task": (6, lambda dice: {"limit": dice.choice([20, 50])}),
    "scheduled_knowledge_extraction_task": (4, lambda _: {}),
    "scheduled_auto_approval_task": (4, lambda dice: {"threshold": dice.choice([0.7, 0.8, 0.9])}),
    "scheduled_notification_alert_task": (
        2,
        lambda dice: {"webhook": dice.choice(["https://hooks.example/ops", "http://hooks.example/ops"])},
    ),
    "scheduled_daily_digest_task": (1, lambda dice: {"top": dice.randint(3, 7)}),
}


async def send(name: str, kwargs: Kwargs) -> str:
    """Sends one task and returns its id."""
    task = broker.find_task(name)
    if task is None:
        raise SystemExit(f"there is no task {name!r}, only: {', '.join(MIX)}")
    sent = await task.kiq(**kwargs)
    return sent.task_id


async def send_mix(rate: float, seconds: float | None, seed: int | None) -> None:
    """Sends `rate` tasks a second, on average evenly spread, for some seconds or for ever."""
    dice = random.Random(seed)
    weights = [weight for weight, _ in MIX.values()]
    clock = asyncio.get_running_loop()
    start = clock.time()
    sent = 0
    while seconds is None or clock.time() - start < seconds:
        name = dice.choices(list(MIX), weights)[0]
        await send(name, MIX[name][1](dice))
        sent += 1
        await asyncio.sleep(max(0.0, start + sent / rate - clock.time()))
    print(f"{sent} tasks sent")


def json_object(text: str) -> Kwargs:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"must be JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return value


def positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.produce", description=__doc__)
    parser.add_argument("--once", metavar="NAME", help="send this one task, print its id and end")
    parser.add_argument("--kwargs", type=json_object, default={}, help="with --once: what the task is called with")
    parser.add_argument("--rate", type=positive, default=3, help="tasks a second (default: 3)")
    parser.add_argument("--seconds", type=positive, help="for how long (default: until it is stopped)")
    parser.add_argument("--seed", type=int, help="for the same mix every time")
    return parser.parse_args()


async def check_nats() -> None:
    """Ends with a sentence where no server listens; the client would try for two minutes."""
    url = urlsplit(NATS_URL)
    try:
        _, writer = await asyncio.open_connection(url.hostname, url.port or 4222)
    except OSError as error:
        raise SystemExit(f"no NATS server answers at {NATS_URL}: {error}") from error
    writer.close()


async def main() -> None:
    options = arguments()
    await check_nats()
    try:
        await broker.startup()
        if options.once:
            print(await send(options.once, options.kwargs))
        else:
            await send_mix(options.rate, options.seconds, options.seed)
    finally:
        await broker.shutdown()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
