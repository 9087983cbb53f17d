//! What the browser makes of it, by `end2end/bench/browser.mjs`.

use std::process::Stdio;

use anyhow::{Context, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{
    figure::{Figure, percentile},
    load::{Load, tasks},
    program::{Program, root},
};

const ROUNDS: usize = 10;
/// How much slower the CPU is made, and in how many milliseconds the page must be interactive then.
const SLOWDOWNS: [(u32, f64); 2] = [(1, 1000.0), (4, 2500.0)];
const LOAD: Load = Load { per_second: 1000, seconds: 60 };
/// Kilobytes of WASM, JavaScript and CSS.
const SIZE: f64 = 350.0;
/// How much memory may grow between the two looks at it.
const FLAT: f64 = 1.1;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    interactive_ms: Vec<f64>,
    transferred: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Loaded {
    long_tasks_ms: Vec<f64>,
    before: Memory,
    after: Memory,
    messages: u64,
}

/// Bytes, and how many elements the page has.
#[derive(Deserialize)]
struct Memory {
    heap: f64,
    wasm: f64,
    elements: u64,
}

impl Memory {
    const fn bytes(&self) -> f64 {
        self.heap + self.wasm
    }

    fn text(&self) -> String {
        format!("{:.1} MB JavaScript, {:.1} MB WASM, {} elements", self.heap / 1e6, self.wasm / 1e6, self.elements)
    }
}

/// The first page: its size, and when it is interactive.
pub(crate) async fn first_page(program: &Program) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (slowdown, bar) in SLOWDOWNS {
        let mut script = Script::start(&["open", &program.base, &slowdown.to_string(), &ROUNDS.to_string()])?;
        let Opened { mut interactive_ms, transferred } = script.result().await?;
        if figures.is_empty() {
            let kilobytes = transferred / 1024.0;
            let what = "WASM, JavaScript and CSS of the first page, as sent";
            figures.push(Figure::new(what, format!("{kilobytes:.0} KB")).bar("≤ 350 KB", kilobytes <= SIZE));
        }
        let [p50, p95] = [50.0, 95.0].map(|percent| percentile(&mut interactive_ms, percent));
        let what = format!(
            "Overview interactive, empty cache, {}",
            if slowdown == 1 { "this CPU".to_owned() } else { format!("CPU {slowdown} × slower") }
        );
        figures.push(
            Figure::new(what, format!("p50 {p50:.0} ms, p95 {p95:.0} ms"))
                .bar(format!("p95 ≤ {:.1} s", bar / 1000.0), p95 <= bar),
        );
    }
    Ok(figures)
}

/// The Overview while events come.
pub(crate) async fn under_load(program: &Program) -> anyhow::Result<Vec<Figure>> {
    // The cards of all task types are there from the beginning.
    program.post("/api/v1/events", tasks(0..200).to_string()).await?;
    program.stored().await?;
    let mut script = Script::start(&["load", &program.base, &LOAD.seconds.to_string()])?;
    ensure!(script.lines.next_line().await?.as_deref() == Some("ready"), "the page didn't come alive");
    LOAD.send(program, |numbers| tasks(numbers.start + 200..numbers.end + 200)).await?;
    let Loaded { long_tasks_ms, before, after, messages } = script.result().await?;
    ensure!(messages > 0, "the page got no frames");
    let longest = long_tasks_ms.iter().copied().fold(0.0, f64::max);
    let what = format!("tasks over 50 ms in the browser, {} s at {} events/s", LOAD.seconds, LOAD.per_second);
    let growth = after.bytes() / before.bytes();
    Ok(vec![
        Figure::new(what, format!("{}, longest {longest:.0} ms", long_tasks_ms.len())).bar("none", long_tasks_ms.is_empty()),
        Figure::new("memory of the page at its end", after.text())
            .against(format!("after 15 s: {}", before.text()), growth)
            .bar("ratio ≤ 1.1", growth <= FLAT),
    ])
}

/// The script, running.
struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new("node")
            .current_dir(root().join("end2end"))
            .arg("bench/browser.mjs")
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("node can't be started")?;
        let lines = BufReader::new(child.stdout.take().context("the script has an output")?).lines();
        Ok(Self { child, lines })
    }

    /// Its last line, when it has ended.
    async fn result<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut last = String::new();
        while let Some(line) = self.lines.next_line().await? {
            last = line;
        }
        ensure!(self.child.wait().await?.success(), "the browser's script failed, for the reason above");
        serde_json::from_str(&last).context("the browser's script printed no figures")
    }
}
