//! How much memory the server takes.

use std::time::Duration;

use futures::StreamExt;

use crate::{
    figure::Figure,
    load::{Load, tasks, watchers},
    program::Program,
};

const WATCHERS: usize = 200;
const LOAD: Load = Load { per_second: 5000, seconds: 20 };
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Of a server that nobody asks anything, for how long.
const IDLE: Duration = Duration::from_secs(10);
/// The bars, in megabytes.
const IDLE_BAR: f64 = 60.0;
const BUSY_BAR: f64 = 150.0;

/// The most that a server takes that nobody asks anything.
pub(crate) async fn idle(program: &Program, what: String) -> anyhow::Result<Figure> {
    let peak = peak(program, tokio::time::sleep(IDLE)).await?;
    Ok(Figure::new(what, format!("{peak:.0} MB")).bar("≤ 60 MB", peak <= IDLE_BAR))
}

/// The most that it takes under load.
pub(crate) async fn busy(program: &Program) -> anyhow::Result<Figure> {
    for mut socket in watchers(program, WATCHERS).await? {
        tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
    }
    let before = program.megabytes()?;
    let mut sent = Ok(());
    let peak = peak(program, async { sent = LOAD.send(program, tasks).await }).await?;
    sent?;
    program.stored().await?;
    let what = format!("largest memory of the server, {} events/s for {} s, {WATCHERS} watchers", LOAD.per_second, LOAD.seconds);
    Ok(Figure::new(what, format!("{peak:.0} MB"))
        .against(format!("{before:.0} MB just before"), peak / before)
        .bar("≤ 150 MB", peak <= BUSY_BAR))
}

/// The most, in megabytes, while something goes on.
async fn peak(program: &Program, meanwhile: impl Future<Output = ()>) -> anyhow::Result<f64> {
    let mut meanwhile = std::pin::pin!(meanwhile);
    let (mut peak, mut look) = (program.megabytes()?, tokio::time::interval(LOOK));
    loop {
        tokio::select! {
            () = &mut meanwhile => return Ok(peak),
            _ = look.tick() => peak = peak.max(program.megabytes()?),
        }
    }
}
