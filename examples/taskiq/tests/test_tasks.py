"""The tasks run in process; what they report over HTTP is a browser test's business."""

import pytest
from taskiq import Context, TaskiqMessage

from app import produce, sample, tasks
from app.broker import broker, reporting_middleware

QUICKSTART_TASKS = {
    "ingest_telegram_messages_task",
    "embed_messages_batch_task",
    "embed_atoms_batch_task",
    "score_message_task",
    "score_unscored_messages_task",
    "extract_knowledge_from_messages_task",
    "scheduled_knowledge_extraction_task",
    "scheduled_auto_approval_task",
    "scheduled_notification_alert_task",
    "scheduled_daily_digest_task",
}


def context(retries: int) -> Context:
    labels = {"_retries": retries} if retries else {}
    message = TaskiqMessage(task_id="1", task_name="t", labels=labels, args=[], kwargs={})
    return Context(message, broker)


def test_the_ten_task_types_have_the_quickstarts_names() -> None:
    assert set(broker.get_all_tasks()) >= QUICKSTART_TASKS
    assert set(produce.MIX) == QUICKSTART_TASKS


async def test_an_extraction_without_messages_fails() -> None:
    with pytest.raises(ValueError, match=r"^No messages provided for extraction$"):
        await tasks.extract_knowledge_from_messages_task(message_ids=[], provider_id="invalid")


async def test_a_busy_provider_answers_the_third_attempt() -> None:
    for retries in (0, 1):
        with pytest.raises(sample.ProviderBusyError):
            await tasks.embed_messages_batch_task([1, 2], "busy", context(retries))
    assert await tasks.embed_messages_batch_task([1, 2], "busy", context(2)) == {"success": 2, "skipped": 0}


async def test_an_unknown_provider_never_answers() -> None:
    with pytest.raises(ConnectionError, match="not reachable"):
        await tasks.embed_atoms_batch_task([1], "offline", context(2))


async def test_a_score_lies_between_0_and_1() -> None:
    assert 0 < await tasks.score_message_task(1) <= 1
    with pytest.raises(LookupError, match="no such messages"):
        await tasks.score_message_task(0)


@pytest.mark.parametrize("name", ["admin", "dashboard"])
def test_both_stock_middlewares_can_be_chosen(name: str) -> None:
    assert type(reporting_middleware(name)).__name__ in {"TaskiqAdminMiddleware", "DashboardMiddleware"}


def test_another_middleware_is_refused() -> None:
    with pytest.raises(SystemExit, match="must be taskscope, admin or dashboard"):
        reporting_middleware("other")
