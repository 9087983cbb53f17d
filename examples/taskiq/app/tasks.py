"""The ten task types of the quickstart. Nothing in a task's body knows that somebody watches."""

import asyncio
from typing import Annotated, TypedDict

from taskiq import Context, TaskiqDepends

from app.broker import broker
from app.sample import MESSAGES, Message, ask_provider, messages

URGENT_WORDS = ("urgent", "failed", "500", "twice")


class BatchResult(TypedDict):
    """How many items of a batch were done."""

    success: int
    skipped: int


def attempt_of(context: Context) -> int:
    """Which attempt this is, from 1; the retry middleware counts in a label."""
    return int(context.message.labels.get("_retries", 0)) + 1


def score(message: Message) -> float:
    """How important a message is, from 0 to 1."""
    urgency = 0.5 if any(word in message.content.lower() for word in URGENT_WORDS) else 0.0
    return round(min(1.0, urgency + len(message.content) / 200), 3)


@broker.task("ingest_telegram_messages_task")
async def ingest_telegram_messages_task(chat: str, limit: int = 20) -> BatchResult:
    await asyncio.sleep(0.02)
    read = min(limit, len(MESSAGES))
    return {"success": read, "skipped": len(chat) % 3}


@broker.task("embed_messages_batch_task", retry_on_error=True, max_retries=3)
async def embed_messages_batch_task(
    message_ids: list[int], provider_id: str, context: Annotated[Context, TaskiqDepends()]
) -> BatchResult:
    texts = [message.content for message in messages(message_ids)]
    vectors = await ask_provider(provider_id, texts, attempt_of(context))
    return {"success": len(vectors), "skipped": 0}


@broker.task("embed_atoms_batch_task", retry_on_error=True, max_retries=3)
async def embed_atoms_batch_task(
    atom_ids: list[int], provider_id: str, context: Annotated[Context, TaskiqDepends()]
) -> BatchResult:
    vectors = await ask_provider(provider_id, [f"atom {number}" for number in atom_ids], attempt_of(context))
    return {"success": len(vectors), "skipped": 0}


@broker.task("score_message_task")
async def score_message_task(message_id: int) -> float:
    # Between 200 and 400 ms, the same for the same message.
    await asyncio.sleep(0.2 + message_id * 37 % 200 / 1000)
    return score(messages([message_id])[0])


@broker.task("score_unscored_messages_task")
async def score_unscored_messages_task(limit: int = 50) -> BatchResult:
    await asyncio.sleep(0.02)
    scores = [score(message) for message in list(MESSAGES.values())[:limit]]
    return {"success": len(scores), "skipped": scores.count(0.0)}


@broker.task("extract_knowledge_from_messages_task")
async def extract_knowledge_from_messages_task(message_ids: list[int], provider_id: str) -> dict[str, int]:
    if not message_ids:
        raise ValueError("No messages provided for extraction")
    found = messages(message_ids)
    await ask_provider(provider_id, [message.content for message in found], attempt=1)
    await asyncio.sleep(1.2)
    return {
        "decisions": sum("decision" in message.content.lower() for message in found),
        "problems": sum(score(message) > 0.5 for message in found),
    }


@broker.task("scheduled_knowledge_extraction_task")
async def scheduled_knowledge_extraction_task(min_messages: int = 10) -> str:
    await asyncio.sleep(0.02)
    enough = len(MESSAGES) >= min_messages
    return "extraction is due" if enough else "too few messages"


@broker.task("scheduled_auto_approval_task")
async def scheduled_auto_approval_task(threshold: float = 0.8) -> BatchResult:
    await asyncio.sleep(0.02)
    approved = sum(score(message) >= threshold for message in MESSAGES.values())
    return {"success": approved, "skipped": len(MESSAGES) - approved}


@broker.task("scheduled_notification_alert_task")
async def scheduled_notification_alert_task(webhook: str) -> bool:
    await asyncio.sleep(0.02)
    if not webhook.startswith("https://"):
        raise ValueError(f"a webhook must be called over TLS: {webhook}")
    return True


@broker.task("scheduled_daily_digest_task")
async def scheduled_daily_digest_task(top: int = 5) -> list[str]:
    await asyncio.sleep(3 + top % 5 / 2)
    best = sorted(MESSAGES.values(), key=score, reverse=True)[:top]
    return [f"{message.author}: {message.content}" for message in best]
