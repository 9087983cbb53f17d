use super::setup;
use crate::llm::SourceMessage;

/// Puts messages together that are asked about at once. It keeps their numbers only: eight bytes a message.
#[derive(Debug)]
pub(super) struct Batches {
    most_messages: usize,
    most_tokens: usize,
    done: Vec<Vec<i64>>,
    open: Vec<i64>,
    open_tokens: usize,
}

impl Batches {
    pub(super) fn new(most_messages: usize, most_tokens: usize) -> Self {
        Self { most_messages: most_messages.max(1), most_tokens, done: Vec::new(), open: Vec::new(), open_tokens: 0 }
    }

    /// The next message. One that is over the budget by itself gets a batch of its own.
    pub(super) fn add(&mut self, message: &SourceMessage) {
        let tokens = setup::tokens(message);
        if self.open.len() >= self.most_messages || self.open_tokens + tokens > self.most_tokens {
            self.close();
        }
        self.open.push(message.id);
        self.open_tokens += tokens;
    }

    /// The batches, in the order in which their messages came.
    pub(super) fn finish(mut self) -> Vec<Vec<i64>> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
        self.open_tokens = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(lengths: &[usize], most_messages: usize, most_tokens: usize) -> Vec<Vec<i64>> {
        let mut batches = Batches::new(most_messages, most_tokens);
        for (id, length) in (1..).zip(lengths) {
            let (author, content) = (String::new(), "x".repeat(*length));
            batches.add(&SourceMessage { id, author, sent_at: chrono::Utc::now(), content });
        }
        batches.finish()
    }

    #[test]
    fn a_batch_ends_at_so_many_messages() {
        assert_eq!(batches(&[4; 7], 3, 1000), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
        assert_eq!(batches(&[], 3, 1000), Vec::<Vec<i64>>::new());
    }

    /// 24 characters count for the time of each.
    #[test]
    fn a_batch_ends_at_its_budget_of_tokens() {
        assert_eq!(batches(&[16, 16, 16], 15, 20), [vec![1, 2], vec![3]]);
        assert_eq!(batches(&[16, 4000, 16], 15, 20), [vec![1], vec![2], vec![3]]);
    }
}
