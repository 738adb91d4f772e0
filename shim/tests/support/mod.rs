//! A file system over a folder, and a guard that writes down what it sees.
#![allow(dead_code, reason = "each test binary uses its part")]
use arrow_array::RecordBatch;
use roost_duckdb::{
    Caller, Connection, Database, EngineError, FunctionGuard, OpenFlags, PlanFacts, PlanGuard, Refusal,
    SCHEME, Trust, Vfs, VfsError, VfsFile,
};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Every call, as text, in its order.
pub type Log = Arc<Mutex<Vec<String>>>;

/// Decides what a call does instead of its work: the key is "op name".
pub type Trap = Arc<dyn Fn(&str, &str) -> Result<(), VfsError> + Send + Sync>;

pub struct FolderVfs {
    folder: PathBuf,
    pub log: Log,
    trap: Trap,
}

impl FolderVfs {
    pub fn new(folder: &Path) -> Self {
        Self::with_trap(folder, Arc::new(|_, _| Ok(())))
    }

    pub fn with_trap(folder: &Path, trap: Trap) -> Self {
        Self { folder: folder.to_path_buf(), log: Log::default(), trap }
    }

    fn note(&self, call: &str, path: &str) -> Result<PathBuf, VfsError> {
        let name = path.strip_prefix(SCHEME).ok_or_else(|| VfsError::io(format!("not ours: {path}")))?;
        self.log.lock().unwrap().push(format!("{call} {name}"));
        (self.trap)(call, name)?;
        Ok(self.folder.join(name))
    }
}

impl Vfs for FolderVfs {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let local = self.note(&format!("open[{flags:?}]"), path)?;
        if !local.exists() && flags.null_if_not_exists() {
            return Ok(None);
        }
        let file = OpenOptions::new()
            .read(true)
            .write(flags.write())
            .create(flags.create() || flags.create_new())
            .truncate(flags.create_new())
            .open(&local)?;
        let name = path[SCHEME.len()..].to_string();
        Ok(Some(Box::new(FolderFile {
            file,
            name,
            log: Arc::clone(&self.log),
            trap: Arc::clone(&self.trap),
        })))
    }

    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        Ok(self.note("exists", path)?.exists())
    }

    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        match fs::remove_file(self.note("remove", path)?) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        Ok(fs::rename(self.note("rename from", from)?, self.note("rename to", to)?)?)
    }
}

struct FolderFile {
    file: File,
    name: String,
    log: Log,
    trap: Trap,
}

impl FolderFile {
    fn note(&self, call: &str) -> Result<(), VfsError> {
        self.log.lock().unwrap().push(format!("{call} {}", self.name));
        (self.trap)(call, &self.name)
    }
}

impl VfsFile for FolderFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        self.note("read")?;
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), VfsError> {
        self.note("write")?;
        Ok(self.file.write_all_at(data, offset)?)
    }

    fn append(&self, data: &[u8]) -> Result<(), VfsError> {
        self.note("append")?;
        Ok(self.file.write_all_at(data, self.file.metadata()?.len())?)
    }

    fn sync(&self) -> Result<(), VfsError> {
        self.note("sync")
    }

    fn truncate(&self, size: u64) -> Result<(), VfsError> {
        self.note("truncate")?;
        Ok(self.file.set_len(size)?)
    }

    fn trim(&self, _offset: u64, _length: u64) -> Result<bool, VfsError> {
        self.note("trim")?;
        Ok(false)
    }

    fn size(&self) -> Result<u64, VfsError> {
        self.note("size")?;
        Ok(self.file.metadata()?.len())
    }
}

/// No files at all.
pub struct NoFiles;

impl Vfs for NoFiles {
    fn open(&self, path: &str, _: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        Err(VfsError::refused(format!("no files here: {path}")))
    }
    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        Err(VfsError::refused(format!("no files here: {path}")))
    }
    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        Err(VfsError::refused(format!("no files here: {path}")))
    }
    fn rename(&self, path: &str, _: &str) -> Result<(), VfsError> {
        Err(VfsError::refused(format!("no files here: {path}")))
    }
}

type Judge = Box<dyn Fn(Caller, &PlanFacts) -> Result<(), Refusal> + Send + Sync>;

/// Keeps the facts of each verdict asked for, and answers by a function.
pub struct Recorder {
    pub seen: Mutex<Vec<(Caller, PlanFacts)>>,
    judge: Judge,
}

impl Recorder {
    pub fn allow() -> Arc<Self> {
        Self::with(|_, _| Ok(()))
    }

    pub fn with(
        judge: impl Fn(Caller, &PlanFacts) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::default(), judge: Box::new(judge) })
    }

    /// Takes the facts of clients' plans that were judged since the last call.
    pub fn take(&self) -> Vec<PlanFacts> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.into_iter().filter(|(caller, _)| caller.trust == Trust::Client).map(|(_, facts)| facts).collect()
    }
}

impl PlanGuard for Recorder {
    fn judge(&self, caller: Caller, plan: &PlanFacts) -> Result<(), Refusal> {
        self.seen.lock().unwrap().push((caller, plan.clone()));
        (self.judge)(caller, plan)
    }
}

/// A refusal for tests.
pub fn refusal(message: impl Into<String>) -> Refusal {
    Refusal { message: message.into(), code: "test" }
}

/// An instance without files, its guard, and a client's connection.
pub fn in_memory() -> (Database, Arc<Recorder>, Connection) {
    let guard = Recorder::allow();
    let database = Database::open_in_memory(&[("threads", "2")], Arc::new(NoFiles), guard.clone()).unwrap();
    let refusal = "not while planning";
    database
        .guard_functions(&[FunctionGuard::ScalarBeforeJudgement { schema: "main", name: "nextval", refusal }])
        .unwrap();
    let client = database.connect(Trust::Client).unwrap();
    (database, guard, client)
}

/// Runs statements and returns the batches of the last one.
pub fn query(connection: &mut Connection, sql: &str) -> Result<Vec<RecordBatch>, EngineError> {
    let mut batches = Vec::new();
    for statement in connection.extract(sql)? {
        batches.clear();
        let mut stream = connection.prepare(statement)?.execute_stream()?;
        while let Some(batch) = stream.next()? {
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// The first value of the result as `i64`.
pub fn number(connection: &mut Connection, sql: &str) -> i64 {
    use arrow_array::cast::AsArray;
    let batches = query(connection, &format!("SELECT ({sql})::BIGINT")).unwrap();
    batches[0].column(0).as_primitive::<arrow_array::types::Int64Type>().value(0)
}
