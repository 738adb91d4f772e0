//! Writers that go on whatever happens, and what became of the rows that were acknowledged to them.

use crate::{answer::Answer, cluster::PATIENCE, tenant::TestNamespace, wait::eventually};
use anyhow::{Result, bail, ensure};
use reqwest::StatusCode;
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::task::JoinHandle;

/// Writers of one tenant, each with numbered rows of its own.
pub struct Ledger {
    shop: TestNamespace,
    tenant: String,
    halt: Arc<AtomicBool>,
    counts: Arc<Counts>,
    writers: Vec<JoinHandle<Result<Vec<i64>>>>,
}

/// Counts of what the writers were told so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Rows that were acknowledged.
    pub acknowledged: AtomicUsize,
    /// Requests that were refused or whose outcome nobody knows.
    pub unanswered: AtomicUsize,
}

impl Ledger {
    /// Creates the table `ledger` and lets the writers go.
    pub async fn open(shop: &TestNamespace, tenant: &str, writers: i64) -> Result<Self> {
        shop.run(tenant, "CREATE TABLE ledger (writer INT, row BIGINT)").await?;
        let (halt, counts) = (Arc::new(AtomicBool::new(false)), Arc::<Counts>::default());
        let (shop, tenant) = (shop.clone(), tenant.to_owned());
        let writers = (0..writers)
            .map(|w| tokio::spawn(write(shop.clone(), tenant.clone(), w, halt.clone(), counts.clone())))
            .collect();
        Ok(Self { shop, tenant, halt, counts, writers })
    }

    /// Rows acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.counts.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more rows are acknowledged.
    pub async fn advances(&self, rows: usize) -> Result<()> {
        let before = self.acknowledged();
        eventually("writers get through", PATIENCE, || async {
            let more = self.acknowledged() - before;
            if more >= rows { Ok(()) } else { Err(format!("{more} rows of {rows}")) }
        })
        .await
    }

    /// Stops the writers and checks that each acknowledged row is there, none twice, and nothing wrong in the bucket.
    pub async fn close(self) -> Result<Summary> {
        self.halt.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for writer in self.writers {
            acknowledged.push(writer.await??);
        }
        for (writer, rows) in acknowledged.iter().enumerate() {
            ensure!(!rows.is_empty(), "writer {writer} never got through");
            let values: Vec<_> = rows.iter().map(|row| format!("({row})")).collect();
            let missing = format!(
                "SELECT count(*) FROM (VALUES {}) a(row) WHERE NOT EXISTS \
                 (SELECT 1 FROM ledger l WHERE l.writer = {writer} AND l.row = a.row)",
                values.join(", ")
            );
            let missing = self.shop.query(&self.tenant, &missing).await?.integer()?;
            ensure!(missing == 0, "writer {writer} lost {missing} acknowledged rows of {}", rows.len());
        }
        self.shop.verified(&self.tenant).await?;
        let twice = "SELECT count(*) FROM (SELECT writer, row FROM ledger GROUP BY ALL HAVING count(*) > 1)";
        ensure!(self.shop.query(&self.tenant, twice).await?.integer()? == 0, "a row was written twice");
        Ok(Summary {
            acknowledged: acknowledged.iter().map(Vec::len).sum(),
            unanswered: self.counts.unanswered.load(Ordering::Relaxed),
        })
    }
}

/// Counts of what the writers were told in all.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Rows that were acknowledged.
    pub acknowledged: usize,
    /// Requests that were refused or whose outcome nobody knows.
    pub unanswered: usize,
}

/// Inserts numbered rows until told to stop; returns the acknowledged numbers.
async fn write(
    shop: TestNamespace,
    tenant: String,
    writer: i64,
    halt: Arc<AtomicBool>,
    counts: Arc<Counts>,
) -> Result<Vec<i64>> {
    let mut acknowledged = Vec::new();
    let mut row = 0;
    while !halt.load(Ordering::Relaxed) {
        row += 1;
        let body = json!({"sql": format!("INSERT INTO ledger VALUES ({writer}, {row})")});
        let answer = match shop.post(&tenant, &shop.token, &body).await {
            Ok(response) => Answer::read(response).await,
            Err(broken) => Err(broken),
        };
        match answer {
            Ok(answer) if answer.status == StatusCode::OK => {
                acknowledged.push(row);
                counts.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            // Nothing was executed, or nobody knows: neither may count as acknowledged.
            Ok(answer)
                if [
                    StatusCode::SERVICE_UNAVAILABLE,
                    StatusCode::BAD_GATEWAY,
                    StatusCode::GATEWAY_TIMEOUT,
                ]
                .contains(&answer.status) =>
            {
                counts.unanswered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => bail!("{}: {}", answer.status, answer.body),
            // The connection broke.
            Err(_) => {
                counts.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(acknowledged)
}
