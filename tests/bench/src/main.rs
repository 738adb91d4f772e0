//! `roost-bench`: figures of a Roost in a cluster, each beside a reference that is measured in the same run.
//!
//! `make bench` brings up the cluster and runs it. Nothing is asserted about the figures.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]

mod audit;
mod bare_pod;
mod cold;
mod commit;
mod embedded;
mod far;
mod figure;
mod held;
mod hydrate;
mod idle;
mod journal;
// In-process serving, as the runtime's own tests do it.
#[path = "../../../tenant-runtime/tests/support/life.rs"]
mod life;
mod local_file;
mod local_tenant;
mod operator;
mod place;
mod publish;
mod round;
mod scan;
mod select;
mod snapshot;
mod tpch;
mod wake;
mod writes;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use figure::Figure;
use futures::future::{BoxFuture, FutureExt as _};
use roost_tests::Roost;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Runs benchmarks on the cluster that KUBECONFIG names.
#[derive(Parser)]
#[command(name = "roost-bench", version)]
struct Arguments {
    /// Which; all without any.
    names: Vec<String>,
    /// Says which there are.
    #[arg(long)]
    list: bool,
    /// Also writes the figures to this file, as JSON.
    #[arg(long)]
    save: Option<PathBuf>,
    /// Form in which figures are printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

type Run = for<'a> fn(&'a Roost) -> BoxFuture<'a, Result<Vec<Figure>>>;

struct Benchmark {
    name: &'static str,
    about: &'static str,
    run: Run,
}

const ALL: &[Benchmark] = &[
    Benchmark { name: "select", about: "select 42 over HTTP, warm", run: |roost| select::run(roost).boxed() },
    Benchmark {
        name: "wake",
        about: "wakes with a cold pod, by size of the database",
        run: |roost| wake::run(roost).boxed(),
    },
    Benchmark {
        name: "hydrate",
        about: "a database's file from the bucket",
        run: |roost| hydrate::run(roost).boxed(),
    },
    Benchmark {
        name: "publish",
        about: "bytes uploaded after one changed row",
        run: |roost| publish::run(roost).boxed(),
    },
    Benchmark {
        name: "commit",
        about: "durable commits, asynchronous lag, how long a publish holds writers back",
        run: |roost| commit::run(roost).boxed(),
    },
    Benchmark {
        name: "held",
        about: "commits that wait for a publish because they cannot be replayed",
        run: |roost| held::run(roost).boxed(),
    },
    Benchmark {
        name: "round",
        about: "select, commit, scan and wake, shortly (for tests/bench/compare)",
        run: |roost| round::run(roost).boxed(),
    },
    Benchmark {
        name: "idle",
        about: "memory and threads of sessions that do nothing",
        run: |roost| idle::run(roost).boxed(),
    },
    Benchmark {
        name: "cold",
        about: "opening, branching, replaying, by size of the database",
        run: |roost| cold::run(roost).boxed(),
    },
    Benchmark {
        name: "tpch",
        about: "TPC-H with an empty and a full cache",
        run: |roost| tpch::run(roost).boxed(),
    },
    Benchmark {
        name: "scan",
        about: "a million rows out, as Arrow and as JSON",
        run: |roost| scan::run(roost).boxed(),
    },
    Benchmark { name: "snapshot", about: "a Parquet snapshot", run: |roost| snapshot::run(roost).boxed() },
    Benchmark {
        name: "writes",
        about: "writes at the API server for a wake and its cycle",
        run: |roost| writes::run(roost).boxed(),
    },
    Benchmark {
        name: "operator-1k",
        about: "the operator's memory for 1,000 idle Tenants",
        run: |roost| operator::run(roost, 1_000).boxed(),
    },
    Benchmark {
        name: "operator-10k",
        about: "the operator's memory for 10,000 idle Tenants",
        run: |roost| operator::run(roost, 10_000).boxed(),
    },
];

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.list {
        for benchmark in ALL {
            print_line(&format!("{:12} {}", benchmark.name, benchmark.about));
        }
        return Ok(());
    }
    let chosen = choose(&arguments.names)?;
    let roost = Roost::connect().await?;
    let mut figures = Vec::new();
    let mut failed = Vec::new();
    for benchmark in chosen {
        eprintln!("{}: {}", benchmark.name, benchmark.about);
        let begun = Instant::now();
        match (benchmark.run)(&roost).await {
            Ok(found) => {
                eprintln!("{}", figure::table(&found));
                figures.extend(found);
                save(arguments.save.as_deref(), &figures)?;
            }
            Err(error) => {
                eprintln!("{}: {error:#}", benchmark.name);
                failed.push(benchmark.name);
            }
        }
        eprintln!("{}: {:.0} s", benchmark.name, begun.elapsed().as_secs_f64());
    }
    match arguments.output {
        Output::Text => print_line(&figure::table(&figures)),
        Output::Json => print_line(&serde_json::to_string_pretty(&figures)?),
    }
    if !failed.is_empty() {
        bail!("no figures of {}", failed.join(", "));
    }
    Ok(())
}

/// After each benchmark, so that what a later one breaks off is not lost.
fn save(file: Option<&Path>, figures: &[Figure]) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, serde_json::to_string_pretty(figures)?).with_context(|| file.display().to_string())
}

fn choose(names: &[String]) -> Result<Vec<&'static Benchmark>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        match ALL.iter().find(|benchmark| benchmark.name == *name) {
            Some(benchmark) => chosen.push(benchmark),
            None => bail!("no benchmark is called {name:?}; --list names them"),
        }
    }
    Ok(chosen)
}

#[allow(clippy::print_stdout, reason = "figures are this program's output")]
fn print_line(text: &str) {
    println!("{text}");
}
