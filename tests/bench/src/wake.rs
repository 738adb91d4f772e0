//! A wake that has to make its pod, by size of the database, beside the start of a bare pod; split into phases.

use crate::{
    bare_pod,
    figure::{Figure, Sample},
    journal::Journal,
    place::{Place, millis},
};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use kube::ResourceExt as _;
use roost_tests::Roost;
use std::time::Instant;

/// Databases: name, bytes, wakes.
const SIZES: &[(&str, u64, usize)] =
    &[("1mb", 1_000_000, 7), ("100mb", 100_000_000, 5), ("1gb", 1_000_000_000, 3)];

/// Parts of a wake, in their order, each with what ends it.
const PHASES: [&str; 7] = [
    "1_pod_created",  // the request at the gateway; the slot; the pod at the API server
    "2_process_up",   // scheduler, kubelet, sandbox, container; the process listens
    "3_grant",        // the operator notices, asks, and hands over
    "4_taken_over",   // HEAD is ours; manifest and pages are read
    "5_booted",       // what the engine reads to open is in the cache
    "6_open",         // the engine is open and locked down
    "7_first_answer", // the route at the gateway; the query; its answer
];

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let place = Place::open(roost, "wake", "1s").await?;
    let mut figures = Vec::new();
    for (name, bytes, wakes) in SIZES {
        eprintln!("wake: making a database of {name}");
        let uid = place.filled_tenant(name, *bytes).await?;
        let (mut totals, mut bare) = (Sample::default(), Sample::default());
        let mut phases: [Sample; PHASES.len()] = Default::default();
        for _ in 0..*wakes {
            bare.push(millis(bare_pod::start(roost).await?));
            let (total, parts) = wake(&place, name, &uid).await?;
            totals.push(total);
            for (sample, part) in phases.iter_mut().zip(parts) {
                sample.push(part);
            }
            place.asleep(&uid).await?;
        }
        let total = Figure::median(format!("wake.{name}"), &totals, "ms");
        figures.push(total.beside(bare.median(), "bare pod, created to Ready"));
        for (phase, sample) in PHASES.iter().zip(&phases) {
            figures.push(Figure::median(format!("wake.{name}.{phase}"), sample, "ms"));
        }
    }
    Ok(figures)
}

/// One wake: milliseconds in all, and of each phase.
async fn wake(place: &Place, tenant: &str, uid: &str) -> Result<(f64, [f64; PHASES.len()])> {
    let asked = Timestamp::now();
    let begun = Instant::now();
    place.shop.query(tenant, "SELECT h FROM data WHERE i = 4711").await?.value()?;
    let total = millis(begun.elapsed());
    let answered = Timestamp::now();
    let pods = place.roost.pods_of(uid).await?;
    let pod = pods.first().context("the tenant has no pod after its answer")?;
    let runtime = Journal::of_pod(&place.roost, &pod.name_any()).await?;
    let operators = Journal::of_operators(&place.roost, asked).await?;
    let pod_uid = pod.uid().context("a pod without UID")?;
    let reached = |state: &str| runtime.when("state changed", |entry| entry.text("to") == state);
    let ends = [
        operators.when("pod created", |entry| entry.text("uid") == pod_uid)?,
        runtime.when("listening", |_| true)?,
        reached("Claimed")?,
        runtime.when("took the branch over", |_| true)?,
        runtime.when("opened", |_| true)?,
        reached("Serving")?,
        answered,
    ];
    let mut before = asked;
    let parts = ends.map(|end| {
        let part = end.duration_since(before).as_secs_f64() * 1e3;
        before = end;
        part
    });
    Ok((total, parts))
}
