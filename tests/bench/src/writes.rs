//! Writes at the API server that a wake waits for, and those of a whole cycle of waking and falling asleep.

use crate::{
    audit::{Audit, Write, tally},
    bare_pod,
    figure::{Figure, Sample},
    place::Place,
};
use anyhow::{Result, ensure};
use jiff::Timestamp;
use roost_tests::{Roost, cluster::RUNTIME_NAMESPACE};
use std::time::Duration;

const ROUNDS: usize = 5;
/// Our components, by their service accounts.
const OURS: [&str; 2] = ["roost-operator", "roost-gateway"];
/// Time after its pod is gone in which a tenant's status may still be told.
const SETTLING: Duration = Duration::from_secs(3);

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let place = Place::open(roost, "writes", "1s").await?;
    let uid = place.filled_tenant("acme", 1_000_000).await?;
    let (mut path, mut cycle, mut all, mut bare) =
        (Sample::default(), Sample::default(), Sample::default(), Sample::default());
    for round in 0..ROUNDS {
        settle().await;
        let audit = Audit::start()?;
        place.shop.query("acme", "SELECT 42").await?.value()?;
        let answered = Timestamp::now();
        place.asleep(&uid).await?;
        place.shop.condition("Tenant", "acme", "Available", "True", Some("Idle")).await?;
        settle().await;
        let writes: Vec<Write> = audit.writes()?.into_iter().filter(counts).collect();
        let (ours, others): (Vec<_>, Vec<_>) =
            writes.iter().partition(|write| OURS.contains(&write.who.as_str()));
        let on_path: Vec<_> = ours.iter().copied().filter(|write| write.at <= answered).collect();
        ensure!(!on_path.is_empty(), "a wake that wrote nothing: is the audit log the cluster's?");
        if round == 0 {
            eprintln!("writes: on the path: {}", tally(on_path.iter().copied()));
            eprintln!("writes: of ours in the cycle: {}", tally(ours.iter().copied()));
            eprintln!("writes: of others in the cycle: {}", tally(others.iter().copied()));
        }
        path.push(count(on_path.len()));
        cycle.push(count(ours.len()));
        all.push(count(writes.len()));

        let audit = Audit::start()?;
        bare_pod::start(roost).await?;
        settle().await;
        bare.push(count(audit.writes()?.iter().filter(|write| counts(write)).count()));
    }
    let beside = "a bare pod's creation, life and removal, by everybody";
    let figure = |name: &str, sample| Figure::median(name, sample, "writes").beside(bare.median(), beside);
    Ok(vec![
        figure("writes.wake_ours", &path),
        figure("writes.cycle_ours", &cycle),
        figure("writes.cycle_all", &all),
    ])
}

/// Whether a write belongs to what goes on here: elections and heartbeats do not. A slot is a Lease, too, but in the
/// runtime namespace.
fn counts(write: &Write) -> bool {
    let election = write.what.ends_with(" leases") && write.namespace != RUNTIME_NAMESPACE;
    !election && !write.what.ends_with("nodes/status")
}

/// Lets what follows an event arrive.
async fn settle() {
    tokio::time::sleep(SETTLING).await;
}

#[allow(clippy::cast_precision_loss, reason = "a handful")]
fn count(number: usize) -> f64 {
    number as f64
}
