//! What reporting adds to a task: the same tasks with and without our layer, and with and without our Python middleware and the stock
//! ones, with the server up, slow and gone, in one run.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Deserialize;
use taskscope_client::{ReportLayer, Reporter, Work};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};
use tower::{Service, ServiceBuilder, service_fn};

use crate::{
    figure::{Figure, percentile},
    program::Program,
};

/// Tasks of one round; fewer than the client's buffer holds of events.
const TASKS: u32 = 10_000;
/// Rounds of each kind, one after the other in turn, of which the median counts.
const ROUNDS: usize = 7;
/// The bar for Rust, in microseconds.
const BAR: f64 = 100.0;

pub(crate) async fn measure(program: &Program) -> anyhow::Result<Vec<Figure>> {
    let slow = slow_server().await?;
    let gone = "http://127.0.0.1:9".to_owned();
    let mut figures = rust(&[("up", program.base.clone()), ("slow", slow), ("gone", gone)]).await?;
    program.stored().await?;
    figures.extend(python(&program.base).await?);
    program.stored().await?;
    Ok(figures)
}

/// A server that takes everything, a second later.
async fn slow_server() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    Ok(base)
}

async fn rust(servers: &[(&str, String)]) -> anyhow::Result<Vec<Figure>> {
    let mut bare = Vec::new();
    let mut ours: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        bare.push(time_of(task).await);
        for (name, url) in servers {
            let reporter = Reporter::builder(url).start()?;
            let describe =
                |task: &u32| Some(Work::new(format!("overhead-{task}"), "overhead").params(serde_json::json!({"n": task})));
            let service = ServiceBuilder::new().layer(ReportLayer::new(reporter.clone(), describe)).service_fn(task);
            ours.entry(name).or_default().push(time_of_service(service).await);
            reporter.shutdown(Duration::from_secs(1)).await;
        }
    }
    let without = percentile(&mut bare, 50.0);
    let figure = |(name, mut times): (&str, Vec<f64>)| {
        let added = percentile(&mut times, 50.0) - without;
        Figure::new(format!("added to a task by the Rust layer, server {name}"), format!("{added:.2} µs"))
            .bar(format!("≤ {BAR:.0} µs"), added <= BAR)
    };
    Ok(ours.into_iter().map(figure).collect())
}

/// A task that does a little, as the shortest ones do.
async fn task(number: u32) -> Result<u32, Infallible> {
    tokio::task::yield_now().await;
    Ok(number.wrapping_mul(3))
}

async fn time_of<F: Future<Output = Result<u32, Infallible>>>(task: fn(u32) -> F) -> f64 {
    time_of_service(service_fn(task)).await
}

/// Microseconds a task takes, one after the other.
async fn time_of_service<S: Service<u32, Response = u32>>(mut service: S) -> f64 {
    let begun = Instant::now();
    for number in 0..TASKS {
        // No layer here refuses or fails.
        drop(service.call(number).await);
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(TASKS)
}

/// What `clients/python/bench/overhead.py` prints, by server and middleware.
#[derive(Deserialize)]
struct PythonFigures {
    servers: BTreeMap<String, BTreeMap<String, Added>>,
}

/// Microseconds added to a task.
#[derive(Deserialize)]
struct Added {
    #[serde(default)]
    added_wall_us: f64,
}

async fn python(base: &str) -> anyhow::Result<Vec<Figure>> {
    let client = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients/python");
    let mut command = Command::new("python3");
    command.arg(client.join("bench/overhead.py")).args(["--url", base]).env("PYTHONPATH", client.join("src"));
    let output = command.output().await?;
    anyhow::ensure!(output.status.success(), "the Python part failed: {}", String::from_utf8_lossy(&output.stderr));
    let figures: PythonFigures = serde_json::from_slice(&output.stdout).context("the Python part printed no figures")?;
    let mut rows = Vec::new();
    for (server, mut middlewares) in figures.servers {
        let own = middlewares.remove("taskscope").context("no figures of our own middleware")?.added_wall_us;
        middlewares.remove("none");
        rows.push(Figure::new(format!("added to a task by TaskscopeMiddleware, server {server}"), format!("{own:.0} µs")));
        for (name, Added { added_wall_us }) in middlewares {
            let row =
                Figure::new(format!("added to a task by {name}'s middleware, server {server}"), format!("{added_wall_us:.0} µs"));
            rows.push(row.against(format!("ours {own:.0} µs"), added_wall_us / own));
        }
    }
    Ok(rows)
}
