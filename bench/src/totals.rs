//! Exact totals and the deepest pages, against the SQL that gives the same.

use anyhow::ensure;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Row;
use taskscope_wire::{HistoryPage, HistoryQuery};

use crate::{
    data::DataSet,
    figure::{Figure, Samples},
    history::path,
};

const ROUNDS: usize = 20;
/// The bars: how much less than the SQL they may take.
const TOTAL: f64 = 1.0 / 15.0;
const LAST_PAGE: f64 = 1.0 / 30.0;

/// A window that begins and ends within a minute, another one in each round.
fn ragged(set: &DataSet, days: i64, round: usize) -> (DateTime<Utc>, DateTime<Utc>) {
    let end = set.newest - TimeDelta::milliseconds(11_861_123 + 4_987_654 * i64::try_from(round).unwrap_or_default());
    (end - TimeDelta::days(days), end)
}

/// The number of executions in a week, which must be what Postgres counts.
pub(crate) async fn total(set: &DataSet) -> anyhow::Result<Figure> {
    let counted = async |round| -> anyhow::Result<i64> {
        let (start, end) = ragged(set, 7, round);
        let query = HistoryQuery { start_date: Some(start), end_date: Some(end), page_size: 1, ..HistoryQuery::default() };
        Ok(set.program.ask::<HistoryPage>(&path(&query)).await?.total_count)
    };
    let by_sql = async |round| -> anyhow::Result<i64> {
        let (start, end) = ragged(set, 7, round);
        let count = sqlx::query_scalar("select count(*) from task_execution_logs where created_at >= $1 and created_at <= $2");
        Ok(count.bind(start).bind(end).fetch_one(&set.program.pool).await?)
    };
    let (mut totals, mut counts) = (Vec::new(), Vec::new());
    let ours = Samples::of(ROUNDS, async |round| {
        totals.push(counted(round).await?);
        Ok(())
    })
    .await?;
    let theirs = Samples::of(ROUNDS, async |round| {
        counts.push(by_sql(round).await?);
        Ok(())
    })
    .await?;
    let compared = totals.len().min(counts.len());
    ensure!(totals[..compared] == counts[..compared], "totals {totals:?} are not the counts {counts:?}");
    let ratio = ours.p50() / theirs.p50();
    let largest = counts.iter().max().copied().unwrap_or_default();
    let what =
        format!("exact total of a ragged window of 7 days, up to {largest} executions, {compared} windows equal to `count(*)`");
    Ok(Figure::new(what, ours.text())
        .against(format!("`count(*)`: {}", theirs.text()), ratio)
        .bar("≤ 1/15, equal", ratio <= TOTAL))
}

/// The last page of the newest days, which must hold the same executions as `offset` gives.
pub(crate) async fn last_page(set: &DataSet, days: i64) -> anyhow::Result<Figure> {
    let mut query = HistoryQuery { start_date: Some(set.newest - TimeDelta::days(days)), ..HistoryQuery::default() };
    let first: HistoryPage = set.program.ask(&path(&query)).await?;
    query.page = u32::try_from(first.total_pages)?;
    let path = path(&query);
    let page: HistoryPage = set.program.ask(&path).await?;
    let ours = Samples::of(ROUNDS, async |_| set.program.get(&path).await.map(drop)).await?;
    let offset = i64::from(query.page - 1) * i64::from(query.page_size);
    let mut ids: Vec<i64> = Vec::new();
    let theirs = Samples::of(5, async |_| {
        let rows = sqlx::query(
            "select * from task_execution_logs where created_at >= $1 order by created_at desc, id desc limit $2 offset $3",
        );
        let rows = rows.bind(query.start_date).bind(i64::from(query.page_size)).bind(offset).fetch_all(&set.program.pool).await?;
        ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?;
        Ok(())
    })
    .await?;
    ensure!(page.items.iter().map(|item| item.id).eq(ids.iter().copied()), "the last page isn't the one that offset gives");
    let ratio = ours.p50() / theirs.p50();
    let what = format!("last page of {days} days, page {}, the same executions as `offset` gives", query.page);
    Ok(Figure::new(what, ours.text())
        .against(format!("`offset {offset}`: {}", theirs.text()), ratio)
        .bar("≤ 1/30", ratio <= LAST_PAGE))
}
