//! A thread that owns one connection and does what it is sent, one thing after the other.
use roost_duckdb::Connection;
use tokio::sync::{mpsc, oneshot};

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A connection on a thread of its own, fed by a bounded channel. The thread ends when this is dropped.
pub(crate) struct ConnectionThread {
    jobs: mpsc::Sender<Job>,
    ended: oneshot::Receiver<()>,
}

impl ConnectionThread {
    /// Starts the thread.
    pub fn start(name: &str, mut connection: Connection, queue: usize) -> std::io::Result<Self> {
        let (jobs, mut inbox) = mpsc::channel::<Job>(queue);
        let (over, ended) = oneshot::channel();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            while let Some(job) = inbox.blocking_recv() {
                job(&mut connection);
            }
            drop(connection);
            let _ = over.send(());
        })?;
        Ok(Self { jobs, ended })
    }

    /// Runs `job` on the thread; `None` when the thread is gone.
    pub async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let _ = answer.send(job(connection));
        });
        self.jobs.send(job).await.ok()?;
        result.await.ok()
    }

    /// Ends the thread and waits until its connection is closed.
    pub async fn end(self) {
        drop(self.jobs);
        let _ = self.ended.await;
    }
}
