//! Errors as tasks of Python programs report them.

use std::fmt::Write;

use rand::{RngExt, rngs::SmallRng};

use super::kinds::CHATS;

/// Stands in the error of one execution in fifty thousand, and nowhere else.
pub(crate) const RARE_TERM: &str = "zygomorphic";

/// Why an execution failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error_type: &'static str,
    pub(crate) message: String,
    pub(crate) traceback: String,
}

/// Bytes of the shortest and of the longest traceback.
const LENGTHS: (f64, f64) = (500.0, 4000.0);

/// Places in code: file, function, statement.
const PLACES: [(&str, &str, &str); 16] = [
    ("taskiq/receiver/receiver.py", "run_task", "returned = await maybe_awaitable(target(*message.args, **kwargs))"),
    ("taskiq_dependencies/ctx.py", "resolve_kwargs", "return self._resolve(executed_func, initial_cache or {})"),
    ("app/tasks/scoring.py", "score_message_task", "factors = await scorer.factors(message, window=hours)"),
    (
        "app/tasks/embeddings.py",
        "embed_messages_batch_task",
        "vectors = await provider.embed([message.content for message in batch])",
    ),
    ("app/tasks/knowledge.py", "extract_knowledge_from_messages_task", "topics = await extractor.extract(messages, provider)"),
    ("app/services/importance_scorer.py", "factors", "author_score = await self._author_weight(message.author_id, session)"),
    ("app/services/llm/openai_client.py", "complete", "response = await self._client.post(url, json=body, timeout=30)"),
    ("app/db/session.py", "transaction", "async with self._factory() as session, session.begin():"),
    (
        "app/db/repositories/messages.py",
        "upsert",
        "result = await session.execute(statement.on_conflict_do_update(index_elements=keys))",
    ),
    (
        "sqlalchemy/ext/asyncio/engine.py",
        "execute",
        "result = await greenlet_spawn(self._proxied.execute, statement, parameters)",
    ),
    ("sqlalchemy/engine/default.py", "do_execute", "cursor.execute(statement, parameters)"),
    (
        "asyncpg/connection.py",
        "_execute",
        "result, _ = await self.__execute(query, args, limit, timeout, record_class=record_class)",
    ),
    ("httpx/_client.py", "_send_handling_redirects", "response = await self._send_single_request(request)"),
    ("httpcore/_async/connection_pool.py", "handle_async_request", "raise exc from None"),
    ("tenacity/_asyncio.py", "__call__", "do = self.iter(retry_state=retry_state)"),
    ("asyncio/tasks.py", "wait_for", "return await fut"),
];

impl Failure {
    /// A failure of one of several kinds.
    pub(crate) fn random(rng: &mut SmallRng) -> Self {
        let number: u32 = rng.random_range(1..100_000);
        let small: u32 = rng.random_range(1..200);
        let chat = CHATS[rng.random_range(0..CHATS.len())];
        let (error_type, message) = match rng.random_range(0..16) {
            0..4 => (
                "ConnectionError",
                format!("connection refused by 10.3.{}.{}:5432 after {} attempts", small / 8, small, small % 7 + 1),
            ),
            4..7 => ("TimeoutError", format!("message {number} of chat {chat} was not scored within 30 s")),
            7..9 => ("ValueError", format!("No messages provided for extraction (batch {number})")),
            9 => ("KeyError", format!("'author' is missing in update {number}")),
            10..13 => (
                "RateLimitError",
                format!(
                    "429 from provider 'openai': too many requests, retry in {small} s, request req_{:016x}",
                    rng.random::<u64>()
                ),
            ),
            13 => (
                "IntegrityError",
                format!(
                    r#"duplicate key value violates unique constraint "messages_external_id_unique": telegram:-100{number}:{small}"#
                ),
            ),
            14 => ("JSONDecodeError", format!("Expecting ',' delimiter: line 1 column {small} (char {number})")),
            _ => ("MemoryError", format!("unable to allocate {small} MiB for an array with shape ({number}, 1536)")),
        };
        Self::with(error_type, message, rng)
    }

    /// The one that holds [`RARE_TERM`].
    pub(crate) fn rare(rng: &mut SmallRng) -> Self {
        let byte: u32 = rng.random_range(1..100_000);
        Self::with("ChecksumError", format!("archive is corrupt: {RARE_TERM} header at byte {byte}"), rng)
    }

    fn with(error_type: &'static str, message: String, rng: &mut SmallRng) -> Self {
        let (shortest, longest) = LENGTHS;
        let length = shortest * (longest / shortest).powf(rng.random());
        let mut traceback = "Traceback (most recent call last):\n".to_owned();
        while (traceback.len() as f64) < length - 200.0 {
            let (file, function, code) = PLACES[rng.random_range(0..PLACES.len())];
            let line: u32 = rng.random_range(12..900);
            // Writing to a string can't fail.
            let _ = write!(traceback, "  File \"{file}\", line {line}, in {function}\n    {code}\n");
        }
        let _ = write!(traceback, "{error_type}: {message}");
        Self { error_type, message, traceback }
    }
}
