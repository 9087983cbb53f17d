use super::{Expr, Name, Search, Term};
use crate::TaskStatus;

/// A search for task types and statuses only, which counts by task type and status can answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simple {
    /// A task type must match a name of each.
    tasks: Vec<Vec<Name>>,
    statuses: Option<Vec<TaskStatus>>,
}

impl Search {
    /// The search where it asks for nothing but task types and statuses.
    #[must_use]
    pub fn simple(&self) -> Option<Simple> {
        let parts = match self.expr() {
            Expr::All(parts) => &parts[..],
            one => std::slice::from_ref(one),
        };
        let mut simple = Simple::default();
        for part in parts {
            match part {
                Expr::Term(Term::Task(names)) => simple.tasks.push(names.clone()),
                Expr::Term(Term::Status(statuses)) => simple.keep_statuses(statuses),
                _ => return None,
            }
        }
        Some(simple)
    }
}

impl Simple {
    /// Whether a task type is searched for.
    #[must_use]
    pub fn matches_task(&self, name: &str) -> bool {
        self.tasks.iter().all(|names| names.iter().any(|one| one.matches(name)))
    }

    /// The statuses that are searched for; none where any will do.
    #[must_use]
    pub fn statuses(&self) -> Option<&[TaskStatus]> {
        self.statuses.as_deref()
    }

    /// Whether any task type will do.
    #[must_use]
    pub const fn has_any_task(&self) -> bool {
        self.tasks.is_empty()
    }

    fn keep_statuses(&mut self, statuses: &[TaskStatus]) {
        match &mut self.statuses {
            Some(kept) => kept.retain(|status| statuses.contains(status)),
            None => self.statuses = Some(statuses.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(text: &str) -> Option<Simple> {
        Search::parse(text).unwrap().simple()
    }

    #[test]
    fn task_types_and_statuses_are_simple() {
        let both = simple("task:score_*,embed status:failed,success status:failed task:*_task,embed").unwrap();
        assert_eq!(both.statuses(), Some(&[TaskStatus::Failed][..]));
        for (name, matches) in [("score_task", true), ("embed", true), ("score_", false), ("other_task", false)] {
            assert_eq!(both.matches_task(name), matches, "{name}");
        }
        assert!(!both.has_any_task() && simple("status:failed").unwrap().has_any_task());
        assert_eq!(simple("status:failed status:success").unwrap().statuses(), Some(&[][..]), "nothing can be both");
    }

    #[test]
    fn the_rest_is_not() {
        for text in ["-task:a", "task:a refused", "task:a OR status:failed", "status:failed duration:>1s", "worker:a"] {
            assert_eq!(simple(text), None, "{text}");
        }
    }

    #[test]
    fn stars_stand_for_any_characters() {
        let cases = [
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("*b*", "abc", true),
            ("**", "", true),
            ("a*bc*c", "abc", false),
            ("*", "anything", true),
        ];
        for (glob, name, matches) in cases {
            assert_eq!(Name::Glob(glob.to_owned()).matches(name), matches, "{glob} {name}");
        }
    }
}
