//! A session that its caller keeps, statement by statement, as another protocol than HTTP has one: without any server.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/life.rs"]
mod life;

use life::Life;
use roost_engine::SessionLimits;
use roost_protocol::{
    BranchKey,
    durability::{self, Durability},
    problem::{ErrorCode, Problem},
};
use roost_store::{Adoption, Creation, Environment, MemoryStore, Owner, TenantPath, TenantStore};
use std::{sync::Arc, time::Duration};
use tenant_runtime::{
    admission::Activity,
    query::{
        access::{Access, Credential},
        answer::{Answer, Halt},
        connection::Connection,
        service::{Service, Terms},
    },
};
use uuid::Uuid;

const ENDLESS: &str = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range < 0";
const PATIENCE: Duration = Duration::from_mins(1);

struct Bench {
    life: Life,
    service: Arc<Service>,
    _disk: tempfile::TempDir,
}

async fn bench() -> Bench {
    let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
    let path = TenantPath::new("", "shop", "acme").unwrap();
    let tenant = TenantStore::new(Arc::new(MemoryStore::new()), path, owner, Environment::system());
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    let disk = tempfile::tempdir().unwrap();
    let life = Life::open(&tenant, &disk.path().join("1"), Durability::Synchronous).await.unwrap();
    let service = Arc::new(Service {
        branch: BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: "main".into() },
        access: Access::Loopback { port: 1 },
        served: Arc::clone(&life.served),
        durability: durability::Terms::default(),
        statement_timeout: PATIENCE,
        metrics: life.metrics.clone(),
    });
    Bench { life, service, _disk: disk }
}

impl Bench {
    async fn connect(&self) -> Connection {
        let caller = self.service.authorize(Credential::default()).unwrap();
        let activity = (Uuid::new_v4(), Activity::Connection);
        self.service.connect(caller, activity, SessionLimits::default()).await.unwrap()
    }

    fn terms(&self, timeout: Duration) -> Terms {
        self.service.terms(Some(timeout), None).unwrap()
    }

    async fn begin(&self, connection: &mut Connection, id: Uuid, sql: &str) -> Result<Answer, Problem> {
        let extracted = connection.extract(sql, self.terms(PATIENCE)).await?.remove(0);
        let statement = connection.prepare(extracted, self.terms(PATIENCE)).await?;
        connection.execute(id, (&statement, Vec::new()), self.terms(PATIENCE)).await
    }

    /// Runs a statement to its confirmed end; the number of its rows.
    async fn ask(&self, connection: &mut Connection, sql: &str) -> Result<usize, Problem> {
        read(self.begin(connection, Uuid::new_v4(), sql).await?).await
    }
}

async fn read(mut answer: Answer) -> Result<usize, Problem> {
    let mut rows = 0;
    loop {
        match answer.next_batch().await {
            Ok(Some(batch)) => rows += batch.num_rows(),
            Ok(None) => return answer.finish().await.map(|()| rows),
            Err(Halt::Failed(problem) | Halt::Unproven(problem)) => return Err(problem),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_a_transaction_an_answer_waits_for_what_it_saw_and_after_commit_for_its_own() {
    let bench = bench().await;
    let mut connection = bench.connect().await;
    bench.ask(&mut connection, "CREATE TABLE t (i INTEGER)").await.unwrap();
    // From here on nothing becomes durable.
    bench.life.stop_shipping();
    for sql in ["BEGIN", "INSERT INTO t VALUES (1), (2)"] {
        bench.ask(&mut connection, sql).await.unwrap();
    }
    assert_eq!(bench.ask(&mut connection, "FROM t").await.unwrap(), 2);
    assert!(connection.in_transaction());
    let extracted = connection.extract("COMMIT", bench.terms(PATIENCE)).await.unwrap().remove(0);
    let commit = connection.prepare(extracted, bench.terms(PATIENCE)).await.unwrap();
    let terms = bench.terms(Duration::from_secs(1));
    let answer = connection.execute(Uuid::new_v4(), (&commit, Vec::new()), terms).await.unwrap();
    assert_eq!(read(answer).await.unwrap_err().code, ErrorCode::OutcomeUnknown);
    assert!(!connection.in_transaction());
    connection.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_keeps_its_tenant_awake_only_while_a_statement_of_it_runs() {
    let bench = bench().await;
    let admission = &bench.life.served.admission;
    let mut connection = bench.connect().await;
    bench.ask(&mut connection, "BEGIN").await.unwrap();
    assert_eq!(admission.running(), 0, "idle, in a transaction");
    for left in [true, false] {
        let id = Uuid::new_v4();
        let answer = bench.begin(&mut connection, id, "FROM range(1000000)").await.unwrap();
        assert_eq!(admission.running(), 1);
        assert_eq!(admission.find(id).unwrap().user, "local");
        if left {
            answer.leave().await.unwrap();
        } else {
            drop(answer);
        }
        tokio::time::timeout(PATIENCE, admission.empty()).await.unwrap();
        while admission.find(id).is_some() {
            tokio::task::yield_now().await;
        }
        // A result that was left is no failure of its transaction; one that was dropped is.
        let next = bench.ask(&mut connection, "SELECT 1").await;
        assert_eq!(
            next.map_err(|problem| problem.sqlstate().to_owned()),
            if left { Ok(1) } else { Err("25P02".into()) }
        );
    }
    bench.ask(&mut connection, "ROLLBACK").await.unwrap();
    connection.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled_by_its_id_and_its_connection_goes_on() {
    let bench = bench().await;
    let mut connection = bench.connect().await;
    let id = Uuid::new_v4();
    let caller = bench.service.authorize(Credential::default()).unwrap();
    let (ended, ()) = tokio::join!(bench.begin(&mut connection, id, ENDLESS), async {
        while bench.service.cancel(&caller, id).is_err() {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(ended.err().unwrap().code, ErrorCode::Cancelled);
    assert_eq!(bench.ask(&mut connection, "SELECT 1").await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_ends_a_connection() {
    let bench = bench().await;
    let mut connection = bench.connect().await;
    bench.ask(&mut connection, "BEGIN").await.unwrap();
    let draining = || Problem::new(ErrorCode::Draining, "the pod leaves");
    bench.life.served.admission.close(draining());
    assert_eq!(bench.life.served.admission.drain(), 0, "an idle connection is not waited for");
    let refused = bench.ask(&mut connection, "COMMIT").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Draining);
}
