//! Random histories: which connection is next, and what it does. A statement is chosen by what the connection sees of the
//! catalog when its turn comes, so that most of them are valid; the same seed makes the same history.

use super::{
    Step,
    catalog::{Catalog, Named},
    observe::texts,
    rows,
    statements::{Kind, SHIPPED, Scene, kinds},
    world::{Failure, World},
};
use rand::{
    Rng as _, SeedableRng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::task::block_in_place;

const CONNECTIONS: u8 = 3;
/// A statement that cannot be written now is replaced by another so often.
const TRIES: u32 = 20;
/// In so many of a hundred statements the wanted kind is tried first.
const WANTED: u32 = 25;
/// Steps at the end of a history of a wanted kind that hold nothing up: they are replayed if none before them is held.
const LAST: u32 = 50;

/// Statements that may have changed the catalog.
#[derive(Default)]
struct Changes {
    /// Committed by anybody.
    committed: u64,
    /// Of each connection, in transactions of its own.
    own: BTreeMap<u8, u64>,
    /// Connections whose open transaction has some.
    open: BTreeSet<u8>,
}

impl Changes {
    fn note(&mut self, number: u8, in_transaction: bool, kind: &str) {
        match kind {
            "begin" => {}
            "commit" => self.committed += u64::from(self.open.remove(&number)),
            "rollback" => {
                self.open.remove(&number);
                *self.own.entry(number).or_default() += 1;
            }
            _ if rows::KINDS.iter().any(|rows| rows.name == kind) => {}
            _ if in_transaction => {
                self.open.insert(number);
                *self.own.entry(number).or_default() += 1;
            }
            _ => self.committed += 1,
        }
    }

    /// Number of them that a connection may see.
    fn seen_by(&self, number: u8) -> u64 {
        self.committed + self.own.get(&number).copied().unwrap_or_default()
    }
}

fn is_shipped(kind: &Kind) -> bool {
    SHIPPED.iter().any(|(name, _)| *name == kind.name)
}

/// So many changes make a connection look at the catalog again: a statement about what is gone fails, and most are valid.
const UNSEEN: u64 = 2;

/// Chooses steps.
pub struct Generator {
    random: StdRng,
    /// Steps until the process is killed.
    left: u32,
    /// The connection whose turn it was last.
    last: u8,
    /// A kind of statement that is chosen often.
    wanted: Option<&'static Kind>,
    /// Connections with a statement that failed: their transaction is to be rolled back.
    failed: BTreeMap<u8, bool>,
    /// Statements that may have changed the catalog.
    changes: Changes,
    /// The catalog as each connection saw it after so many changes: to read it takes longer than most statements.
    catalogs: BTreeMap<u8, (u64, Arc<Catalog>)>,
    /// Kinds that the end of the history has still to come to, the next one last.
    deck: Vec<&'static str>,
    /// Macros, until the next statement that is about some.
    macros: Option<Vec<Named>>,
}

impl Generator {
    pub fn new(seed: u64, wanted: Option<&'static Kind>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let left = random.random_range(if wanted.is_some() { LAST..LAST + 20 } else { 10..70 });
        let (failed, catalogs) = (BTreeMap::new(), BTreeMap::new());
        Self {
            random,
            left,
            last: 1,
            wanted,
            failed,
            changes: Changes::default(),
            catalogs,
            deck: Vec::new(),
            macros: None,
        }
    }

    /// The next step, with the name of its kind; none at the kill.
    pub async fn next(&mut self, world: &mut World) -> Result<Option<(&'static str, Step)>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if !world.in_transaction() {
            let percent = match world.is_held().await? {
                true => 60,
                false if self.is_last() => 0,
                false => 6,
            };
            if self.random.random_range(0..100) < percent {
                return Ok(Some(("publish", Step::Publish)));
            }
        }
        if self.random.random_range(0..100) < 40 {
            self.last = self.random.random_range(1..=CONNECTIONS);
        }
        let number = self.last;
        let is_open = world.client(number).in_transaction();
        let chance = self.random.random_range(0..100);
        let (begins, commits) = if self.is_last() { (15, 30) } else { (30, 15) };
        let (kind, sql) = match (is_open, chance) {
            (true, _) if chance < commits => ("commit", "COMMIT".into()),
            (true, _) if chance < commits + 5 => ("rollback", "ROLLBACK".into()),
            (true, _) if self.failed.remove(&number).is_some() => ("rollback", "ROLLBACK".into()),
            (false, _) if chance < begins => ("begin", "BEGIN".into()),
            _ => self.statement(world, number)?,
        };
        self.changes.note(number, is_open, kind);
        if kind.contains("macro") {
            self.macros = None;
        }
        Ok(Some((kind, Step::Sql(number, sql))))
    }

    /// Whether only what holds nothing up shall follow.
    fn is_last(&self) -> bool {
        self.wanted.is_some() && self.left < LAST
    }

    /// A statement of this connection failed: its transaction has to be rolled back.
    pub fn failed(&mut self, number: u8) {
        self.failed.insert(number, true);
    }

    fn statement(&mut self, world: &mut World, number: u8) -> Result<(&'static str, String), Failure> {
        let Some(catalog) = self.catalog(world, number) else { return self.drop_a_view(world, number) };
        for _ in 0..TRIES {
            let kind = self.kind(&catalog);
            let mut scene = Scene { random: &mut self.random, catalog: &catalog };
            if let Some(sql) = (kind.write)(&mut scene) {
                return Ok((kind.name, sql));
            }
            // There is nothing yet that it could be about.
            if self.is_last() && is_shipped(kind) {
                self.deck.insert(0, kind.name);
            }
        }
        Ok(("select", "SELECT 1".into()))
    }

    /// The catalog as a connection sees it; none if it cannot be read.
    fn catalog(&mut self, world: &mut World, number: u8) -> Option<Arc<Catalog>> {
        let changes = self.changes.seen_by(number);
        let known = self.catalogs.get(&number).filter(|(known, _)| changes - known < UNSEEN);
        if let Some((_, catalog)) = known {
            return Some(Arc::clone(catalog));
        }
        let mut catalog = block_in_place(|| Catalog::read(world.client(number))).ok()?;
        if self.macros.is_none() {
            self.macros = Some(block_in_place(|| Catalog::read_macros(world.client(number))).ok()?);
        }
        catalog.macros = self.macros.clone().unwrap_or_default();
        let catalog = Arc::new(catalog);
        self.catalogs.insert(number, (changes, Arc::clone(&catalog)));
        Some(catalog)
    }

    /// A view whose table is gone keeps the catalog from being read.
    fn drop_a_view(&mut self, world: &mut World, number: u8) -> Result<(&'static str, String), Failure> {
        let sql = "SELECT schema_name || '.' || view_name FROM duckdb_views() \
                   WHERE database_name = current_database() AND NOT internal ORDER BY 1";
        let read = block_in_place(|| texts(world.client(number), sql));
        let views =
            read.map_err(|error| Failure { stage: "reading the catalog", what: error.to_string() })?;
        let view = views.choose(&mut self.random).map_or("none", String::as_str);
        Ok(("drop view", format!("DROP VIEW {view}")))
    }

    fn kind(&mut self, catalog: &Catalog) -> &'static Kind {
        let first = |name| kinds().find(|kind| kind.name == name);
        // The end of a history comes to what is shipped anyway.
        let is_last = self.is_last();
        let often = |wanted| if is_last && is_shipped(wanted) { WANTED / 2 } else { WANTED };
        if let Some(wanted) = self.wanted
            && self.random.random_range(0..100) < often(wanted)
        {
            let maker = wanted.maker().and_then(first);
            return maker.filter(|_| self.random.random_range(0..100) < 40).unwrap_or(wanted);
        }
        if let Some(kind) = first("create table").filter(|_| catalog.tables.len() < 2) {
            return kind;
        }
        if self.is_last() {
            // Each comes before any comes again.
            if self.deck.is_empty() {
                let mut chosen = |of_hundred: u32| self.random.random_range(0..100) < of_hundred;
                self.deck =
                    SHIPPED.into_iter().filter(|(_, part)| chosen(*part)).map(|(name, _)| name).collect();
                self.deck.shuffle(&mut self.random);
            }
            return self.deck.pop().and_then(first).expect("a kind of statement");
        }
        let total: u32 = kinds().map(|kind| kind.weight).sum();
        let mut at = self.random.random_range(0..total);
        for kind in kinds() {
            if at < kind.weight {
                return kind;
            }
            at -= kind.weight;
        }
        unreachable!("the weights add up")
    }
}
