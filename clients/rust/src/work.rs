use taskscope_wire::{Json, limits};

/// One attempt of a task, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The broker's id of the task, the same for all its attempts.
    pub task_id: String,
    /// The task type.
    pub task_name: String,
    /// The attempt, from 1.
    pub attempt: i32,
    /// How often the task may be retried.
    pub max_retries: Option<i32>,
    /// The queue that it waits or waited in.
    pub queue: Option<String>,
    /// What the task was called with. Beyond 64 KiB only the beginning is reported.
    pub params: Option<Json>,
    /// Metadata of the application's choice. Beyond 64 KiB only the beginning is reported.
    pub labels: Option<Json>,
}

impl Work {
    /// The first attempt of a task, of which no more is known.
    #[must_use]
    pub fn new(task_id: impl Into<String>, task_name: impl Into<String>) -> Self {
        Self {
            task_id: task_id.into(),
            task_name: task_name.into(),
            attempt: 1,
            max_retries: None,
            queue: None,
            params: None,
            labels: None,
        }
    }

    /// Sets the attempt, from 1.
    #[must_use]
    pub fn attempt(mut self, attempt: i32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets how often the task may be retried.
    #[must_use]
    pub fn max_retries(mut self, max_retries: i32) -> Self {
        self.max_retries = Some(max_retries);
        self
    }

    /// Sets the queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sets what the task was called with.
    #[must_use]
    pub fn params(mut self, params: impl Into<Json>) -> Self {
        self.params = Some(params.into());
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn labels(mut self, labels: impl Into<Json>) -> Self {
        self.labels = Some(labels.into());
        self
    }

    /// The same with JSON that the server takes, so that a huge parameter costs neither the event nor the buffer.
    pub(crate) fn bounded(mut self) -> Self {
        self.params = self.params.map(|json| bounded(json, limits::JSON));
        self.labels = self.labels.map(|json| bounded(json, limits::JSON));
        self
    }

    /// About the bytes that it holds.
    pub(crate) fn size(&self) -> usize {
        let json = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
        let queue = self.queue.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.task_id.len() + self.task_name.len() + queue + json(&self.params) + json(&self.labels)
    }
}

/// The value, or a string with its beginning if it is longer than [`limits::JSON`]. The string is short enough for the server to leave
/// it alone where it allows `limit` bytes, even if every character of it is escaped.
pub(crate) fn bounded(json: Json, limit: usize) -> Json {
    if json.as_str().len() <= limits::JSON { json } else { beginning(&json, limit / 4) }
}

/// A string with the first bytes of a value's text.
pub(crate) fn beginning(json: &Json, bytes: usize) -> Json {
    let text = json.as_str();
    Json::string(&format!("{} … (cut: {} bytes in all)", &text[..text.floor_char_boundary(bytes)], text.len()))
}
