"""Sample data, in place of a chat and of the services that the tasks would call."""

import asyncio
from dataclasses import dataclass
from itertools import cycle, islice


@dataclass(frozen=True)
class Message:
    """A message of a team's chat."""

    id: int
    author: str
    content: str


_AUTHORS = ["anna", "boris", "chen", "dara"]
_CONTENTS = [
    "The deploy failed again: the migration waits for a lock on orders.",
    "Decision: we keep JetStream, the benchmark was clear.",
    "lunch?",
    "How do we rotate the API keys without downtime? @dara",
    "Found it. The retry sent the mail twice, the idempotency key was missing.",
    "thanks!",
    "Urgent: checkout answers 500 for every customer with a voucher.",
    "I wrote up how the embedding cache is warmed, see the wiki.",
    "Idea: score messages when they arrive instead of every hour.",
    "ok",
]

MESSAGES = {
    number: Message(number, author, content)
    for number, author, content in islice(zip(range(1, 201), cycle(_AUTHORS), cycle(_CONTENTS), strict=False), 200)
}


def messages(ids: list[int]) -> list[Message]:
    """The messages with these ids; raises LookupError for an id that there is not."""
    missing = [number for number in ids if number not in MESSAGES]
    if missing:
        raise LookupError(f"no such messages: {missing}")
    return [MESSAGES[number] for number in ids]


class ProviderBusyError(Exception):
    """The provider refuses for now; the same call may succeed later."""


async def ask_provider(provider_id: str, texts: list[str], attempt: int) -> list[list[float]]:
    """What a provider of embeddings answers.

    `openai` works, `busy` refuses the first two attempts, and no other provider exists.
    """
    await asyncio.sleep(0.02)
    if provider_id == "busy" and attempt <= 2:
        raise ProviderBusyError(f"429 from provider {provider_id!r}: too many requests, attempt {attempt}")
    if provider_id not in {"openai", "busy"}:
        raise ConnectionError(f"provider {provider_id!r} is not reachable")
    return [[round(len(text) / 100, 3), round(text.count(" ") / 20, 3)] for text in texts]
