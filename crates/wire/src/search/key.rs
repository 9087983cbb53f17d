/// What may stand before a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The word.
    pub word: &'static str,
    /// An example.
    pub example: &'static str,
    /// What it finds.
    pub finds: &'static str,
}

/// All keys, in the order in which they are listed. After `params.` follows the path of a param.
pub const KEYS: [Key; 13] = [
    Key { word: "status", example: "status:failed,running", finds: "pending, running, success or failed" },
    Key { word: "task", example: "task:score_*", finds: "the task type; * stands for any characters" },
    Key { word: "error", example: "error:\"connection refused\"", finds: "text in the error's message or type" },
    Key { word: "worker", example: "worker:web-1*", finds: "who ran it" },
    Key { word: "queue", example: "-queue:bulk", finds: "the queue; - before a term leaves out what it finds" },
    Key { word: "id", example: "id:0f8fad5b*", finds: "the broker's id of the task" },
    Key { word: "params", example: "params.message_id:42", finds: "a param; for numbers also :>5, :<=5 and :1..5" },
    Key { word: "duration", example: "duration:>2s", finds: "how long it ran: ms, s, m, h or d; <, <=, >= or 1s..5s" },
    Key { word: "wait", example: "wait:>=500ms", finds: "how long it waited in its queue" },
    Key { word: "attempt", example: "attempt:>1", finds: "the attempt, from 1" },
    Key { word: "created", example: "created:<1h", finds: "its age, or a date or time (UTC): created:2026-11-01..2026-11-05" },
    Key { word: "source", example: "source:taskiq", finds: "how it was reported: native, taskiq or sql" },
    Key { word: "is", example: "is:retried", finds: "stalled, or failed and tried again" },
];

/// The key of this word, in small or capital letters.
pub(super) fn find(word: &str) -> Option<Key> {
    KEYS.into_iter().find(|key| key.word.eq_ignore_ascii_case(word))
}
