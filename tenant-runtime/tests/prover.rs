//! Answers that may leave while nobody can prove that the branch is still ours. The clock is tokio's, which jumps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/silent.rs"]
mod silent;

use async_trait::async_trait;
use roost_protocol::{
    durability::Reads::{Relaxed, Strict},
    problem::ErrorCode,
};
use roost_store::{
    Adoption, BranchName, Clock, Compute, Creation, Environment, Holder, OwnedBranch, Owner, Takeover,
    TenantPath, TenantStore,
};
use silent::{Looks, Silent};
use std::{sync::Arc, time::Duration};
use tenant_runtime::serving::prover::Prover;
use tokio::time::{Instant, advance, sleep};

struct TokioClock(Instant);

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH + self.monotonic()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    async fn sleep(&self, duration: Duration) {
        sleep(duration).await;
    }
}

struct World {
    bucket: Arc<Silent>,
    tenant: TenantStore,
    environment: Environment,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(TokioClock(Instant::now()));
        let environment = Environment { clock, compute: Compute::Inline, ..Environment::system() };
        let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
        let (path, bucket) = (TenantPath::new("", "shop", "acme").unwrap(), Arc::<Silent>::default());
        let tenant = TenantStore::new(bucket.clone(), path, owner, environment.clone());
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        Self { bucket, tenant, environment }
    }

    async fn own(&self, name: &str) -> Arc<OwnedBranch> {
        let holder = Holder { name: name.into(), id: name.into() };
        self.tenant.branch(&BranchName::main()).take_over(&holder, Takeover::PreviousGone).await.unwrap()
    }

    /// A prover at work.
    async fn prover(&self) -> Arc<Prover> {
        let prover = Arc::new(Prover::new(self.own("pod").await, self.environment.clone()));
        let running = prover.clone();
        tokio::spawn(async move { running.run().await });
        prover
    }

    fn looks_are(&self, looks: Looks) {
        *self.bucket.looks.lock().unwrap() = looks;
    }
}

#[tokio::test(start_paused = true)]
async fn relaxed_reads_go_on_while_the_bucket_is_away_and_only_then() {
    let unproven = Err(ErrorCode::StorageUnreachable);
    for (looks, strict, relaxed) in [
        (Looks::Answered, Ok(()), Ok(())),
        (Looks::Refused, unproven, Ok(())),
        (Looks::Unheard(Duration::from_secs(15)), unproven, Ok(())),
        // It answers: nobody may take that for an outage.
        (Looks::Denied, unproven, unproven),
    ] {
        let world = World::new().await;
        let prover = world.prover().await;
        world.looks_are(looks);
        // At any time: what is known is renewed before it is old.
        for second in 0..60 {
            sleep(Duration::from_secs(1)).await;
            let told = prover.before_answering(Relaxed).await.map_err(|problem| problem.code);
            assert!(told == relaxed || second < 10, "{looks:?} after {second} s: {told:?}");
        }
        let told = prover.before_answering(Strict).await.map_err(|problem| problem.code);
        assert_eq!(told, strict, "{looks:?}");
        world.looks_are(Looks::Answered);
        // What was asked before may still wait for its answer.
        sleep(Duration::from_secs(15)).await;
        for wanted in [Relaxed, Strict] {
            assert_eq!(prover.before_answering(wanted).await, Ok(()), "{looks:?}: it is back");
        }
    }
}

/// The bucket was away, and is back; only that this process stood still meanwhile and does not know it.
#[tokio::test(start_paused = true)]
async fn what_was_known_before_a_freeze_counts_for_nothing() {
    for looks in [Looks::Refused, Looks::Unheard(Duration::from_secs(15))] {
        // In the middle of an attempt, and between two.
        for second in [12, 14, 16, 18, 20, 22] {
            let world = World::new().await;
            let prover = world.prover().await;
            world.looks_are(looks);
            sleep(Duration::from_secs(second)).await;
            assert_eq!(prover.before_answering(Relaxed).await, Ok(()), "{looks:?} {second}");
            let _other = world.own("another pod").await;
            advance(Duration::from_mins(5)).await;
            // However long it takes until it can ask.
            for _ in 0..30 {
                let told = prover.before_answering(Relaxed).await.map_err(|problem| problem.code);
                assert_eq!(told, Err(ErrorCode::StorageUnreachable), "{looks:?} {second}");
                sleep(Duration::from_secs(1)).await;
            }
            world.looks_are(Looks::Answered);
            sleep(Duration::from_secs(15)).await;
            let told = prover.before_answering(Relaxed).await.map_err(|problem| problem.code);
            assert_eq!(told, Err(ErrorCode::Fenced), "{looks:?} {second}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_waited_for_its_machine_a_moment_goes_on_as_before() {
    for looks in [Looks::Refused, Looks::Unheard(Duration::from_secs(15))] {
        for second in 12..=22 {
            let world = World::new().await;
            let prover = world.prover().await;
            world.looks_are(looks);
            sleep(Duration::from_secs(second)).await;
            advance(Duration::from_secs(5)).await;
            assert_eq!(prover.before_answering(Relaxed).await, Ok(()), "{looks:?} {second}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_freeze_proves_nothing_after_it() {
    // Several times: what the process does first when it goes on is left to chance.
    for _ in 0..32 {
        let world = World::new().await;
        let prover = world.prover().await;
        world.looks_are(Looks::Late(Duration::from_secs(2)));
        // A look is on its way, and was answered.
        sleep(Duration::from_millis(5_500)).await;
        let _other = world.own("another pod").await;
        world.looks_are(Looks::Refused);
        advance(Duration::from_mins(5)).await;
        for second in 0..30 {
            let told = prover.before_answering(Relaxed).await.map_err(|problem| problem.code);
            assert_eq!(told, Err(ErrorCode::StorageUnreachable), "after {second} s");
            sleep(Duration::from_secs(1)).await;
        }
    }
}
