//! A search as SQL. What is searched for is bound, never part of the text.

use chrono::{DateTime, Utc};
use sqlx::{Encode, Postgres, QueryBuilder, Type};
use taskscope_wire::search::{Expr, Flag, Name, Number, ParamTest, Range, Scalar, Search, Term, When, search_limits};

use super::filter::{IS_STALLED, push_statuses};

/// What migration 0007 indexes: of every partition, and of days that are over.
const ERROR_TEXT: &str = "taskscope_error_text(e.error_type, e.error_message, e.error_traceback)";
const TASK_TEXT: &str = "taskscope_task_text(e.task_id, e.params)";

const IS_RETRIED: &str = "(e.failed_at is not null and exists (
    select from task_execution_logs later
    where later.task_id = e.task_id and later.created_at >= e.created_at and later.attempt > e.attempt))";

type Sql = QueryBuilder<Postgres>;

/// Adds the condition of a search on the log as `e`; ages go back from `now`.
pub(super) fn push_search(sql: &mut Sql, search: &Search, now: DateTime<Utc>) {
    push_expr(sql, search.expr(), now);
}

fn push_expr(sql: &mut Sql, expr: &Expr, now: DateTime<Utc>) {
    match expr {
        Expr::All(parts) => push_joined(sql, parts, " and ", |sql, part| push_expr(sql, part, now)),
        Expr::Any(parts) => push_joined(sql, parts, " or ", |sql, part| push_expr(sql, part, now)),
        // What is unknown, such as the queue of a row that has none, doesn't hold: so its opposite does.
        Expr::Not(inner) => {
            sql.push("((");
            push_expr(sql, inner, now);
            sql.push(") is not true)");
        }
        Expr::Term(term) => push_term(sql, term, now),
    }
}

fn push_term(sql: &mut Sql, term: &Term, now: DateTime<Utc>) {
    match term {
        Term::Text(text) => push_text(sql, text),
        Term::Error(text) => push_error(sql, text),
        Term::Task(names) => push_names(sql, "e.task_name", names),
        Term::Worker(names) => push_names(sql, "e.worker", names),
        Term::Queue(names) => push_names(sql, "e.queue", names),
        Term::Id(names) => push_names(sql, "e.task_id", names),
        Term::Status(statuses) => push_statuses(sql, statuses),
        Term::Source(sources) => {
            let words: Vec<&str> = sources.iter().map(|source| source.as_str()).collect();
            sql.push("e.source = any(").push_bind(words).push(")");
        }
        Term::Param { path, test: ParamTest::Any(values) } => {
            push_joined(sql, values, " or ", |sql, value| push_param(sql, path, value));
        }
        Term::Param { path, test: ParamTest::Number(range) } => push_param_range(sql, path, range),
        Term::Duration(range) => push_range(sql, "e.duration_ms", range, |ms| *ms, ""),
        Term::Wait(range) => push_range(sql, "(e.started_at - e.queued_at)", range, |ms| *ms, " * interval '1 millisecond'"),
        Term::Attempt(range) => push_range(sql, "e.attempt", range, |attempt| *attempt, ""),
        Term::Created(range) => push_created(sql, range, now),
        Term::Is(Flag::Stalled) => _ = sql.push(IS_STALLED),
        Term::Is(Flag::Retried) => _ = sql.push(IS_RETRIED),
    }
}

/// Both conditions can be answered by an index, so that a bitmap of them together can.
fn push_text(sql: &mut Sql, text: &str) {
    sql.push(format!("({ERROR_TEXT} ilike ")).push_bind(containing(text));
    sql.push(format!(" or {TASK_TEXT} ilike ")).push_bind(containing(text)).push(")");
}

/// The first condition is there for the index.
fn push_error(sql: &mut Sql, text: &str) {
    sql.push(format!("({ERROR_TEXT} ilike ")).push_bind(containing(text));
    sql.push(" and (e.error_message ilike ").push_bind(containing(text));
    sql.push(" or e.error_type ilike ").push_bind(containing(text)).push("))");
}

fn push_names(sql: &mut Sql, column: &str, names: &[Name]) {
    let (mut exact, mut globs) = (Vec::new(), Vec::new());
    for name in names {
        match name {
            Name::Exact(name) => exact.push(name.clone()),
            Name::Glob(glob) => globs.push(like(glob)),
        }
    }
    match (exact.is_empty(), globs.is_empty()) {
        (false, true) => push_any(sql, column, " = any(", exact),
        (true, _) => push_any(sql, column, " like any(", globs),
        (false, false) => {
            sql.push("(");
            push_any(sql, column, " = any(", exact);
            sql.push(" or ");
            push_any(sql, column, " like any(", globs);
            sql.push(")");
        }
    }
}

fn push_any(sql: &mut Sql, column: &str, operator: &str, values: Vec<String>) {
    sql.push(column).push(operator).push_bind(values).push(")");
}

/// A value, or a list that holds it.
fn push_param(sql: &mut Sql, path: &[String], value: &Scalar) {
    let literals = match value {
        Scalar::Glob(glob) => {
            sql.push("(e.params #>> ").push_bind(path.to_vec()).push(") like ").push_bind(like(glob));
            return;
        }
        Scalar::Text(text) => vec![json(text)],
        Scalar::Bare(text) if is_json_literal(text) => vec![text.clone(), json(text)],
        Scalar::Bare(text) => vec![json(text)],
    };
    sql.push("(");
    push_param_text(sql, path, &literals);
    sql.push("(e.params #> ").push_bind(path.to_vec()).push(") @> any(").push_bind(literals).push("::text[]::jsonb[]))");
}

/// A condition that holds of all texts with such a param, for the index. A number that is written otherwise than Postgres does has none.
fn push_param_text(sql: &mut Sql, path: &[String], literals: &[String]) {
    let is_usual = |literal: &String| {
        Number::parse(literal).is_none() || literal.parse::<u64>().is_ok_and(|number| number.to_string() == *literal)
    };
    let key = path.last().filter(|key| key.parse::<u32>().is_err());
    let patterns: Option<Vec<_>> = literals.iter().map(|literal| param_patterns(key, literal)).collect();
    let Some(patterns) = patterns.filter(|_| literals.iter().all(is_usual)) else { return };
    push_joined(sql, &patterns.concat(), " or ", |sql, pattern| {
        sql.push(TASK_TEXT).push(" ilike ").push_bind(pattern.clone());
    });
    sql.push(" and ");
}

/// What the text of params with a value holds. A short value is found by its key too; the key of a longer one stands in too many rows to help.
fn param_patterns(key: Option<&String>, literal: &str) -> Option<Vec<String>> {
    if literal.trim_matches('"').chars().count() >= search_limits::WORD {
        return Some(vec![containing(literal)]);
    }
    let key = escape_like(&json(key?));
    let literal = escape_like(literal);
    Some(vec![format!("%{key}: {literal}%"), format!("%{key}: [%{literal}%")])
}

/// Numbers only: what else stands there is no error.
fn push_param_range(sql: &mut Sql, path: &[String], range: &Range<Number>) {
    sql.push("(case when jsonb_typeof(e.params #> ").push_bind(path.to_vec()).push(") = 'number' then ");
    sql.push("(select ");
    push_range(sql, "n", range, |number| number.as_str().to_owned(), "::text::numeric");
    sql.push(" from (select (e.params #>> ").push_bind(path.to_vec()).push(")::numeric as n) as param) end)");
}

fn push_created(sql: &mut Sql, range: &Range<When>, now: DateTime<Utc>) {
    let (start, end) = range.bounds(now);
    sql.push("(true");
    if let Some(start) = start {
        sql.push(" and e.created_at >= ").push_bind(start);
    }
    if let Some(end) = end {
        sql.push(" and e.created_at < ").push_bind(end);
    }
    sql.push(")");
}

/// Adds `value` compared with what `bind` makes of the ends, followed by `unit`.
fn push_range<T, B>(sql: &mut Sql, value: &str, range: &Range<T>, bind: impl Fn(&T) -> B, unit: &str)
where
    B: for<'q> Encode<'q, Postgres> + Type<Postgres> + Send + 'static,
{
    let (operator, end) = match range {
        Range::Is(only) => (" = ", only),
        Range::More(least) => (" > ", least),
        Range::AtLeast(least) => (" >= ", least),
        Range::Less(most) => (" < ", most),
        Range::AtMost(most) => (" <= ", most),
        Range::Between(least, most) => {
            sql.push("(").push(value).push(" >= ").push_bind(bind(least)).push(unit);
            sql.push(" and ").push(value).push(" <= ").push_bind(bind(most)).push(unit).push(")");
            return;
        }
    };
    sql.push(value).push(operator).push_bind(bind(end)).push(unit);
}

fn push_joined<T>(sql: &mut Sql, parts: &[T], between: &str, push: impl Fn(&mut Sql, &T)) {
    sql.push("(");
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            sql.push(between);
        }
        push(sql, part);
    }
    sql.push(")");
}

fn containing(text: &str) -> String {
    format!("%{}%", escape_like(text))
}

fn like(glob: &str) -> String {
    escape_like(glob).replace('*', "%")
}

/// Makes `%`, `_` and `\` stand for themselves in a LIKE pattern.
fn escape_like(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// A text as JSON writes it, which is how Postgres does.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether a word means something else than a text in JSON, within what Postgres can hold.
fn is_json_literal(word: &str) -> bool {
    matches!(word, "true" | "false" | "null")
        || Number::parse(word).is_some() && serde_json::from_str::<serde_json::Number>(word).is_ok()
}
