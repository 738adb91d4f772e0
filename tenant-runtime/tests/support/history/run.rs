//! Runs a history to its end: one that is written down, or one that a seed makes.

use super::{
    History, Step,
    child::{Contents, Word},
    generate::Generator,
    statements::Kind,
    world::{Failure, Replayed, World},
};
use roost_engine::wal;
use roost_protocol::durability::Durability;
use std::{fs::File, io::Write as _, path::Path};

fn word(ended: Result<(), Failure>, contents: Contents, script: String) -> Word {
    match ended {
        Ok(()) => Word::Done(contents),
        Err(failure) => Word::Failed { class: failure.class(), what: failure.to_string(), script },
    }
}

/// Runs a history. A statement that fails is a part of it.
pub async fn run(history: &History) -> Word {
    let steps = async {
        let mut world = World::new(Durability::Synchronous).await;
        world.exports = true;
        for step in &history.0 {
            let _ = world.take(step).await?;
        }
        world.kill(&mut None).await
    };
    word(steps.await, Contents::default(), history.to_string())
}

/// Makes a history and runs it; each step is written to a file before it is taken.
pub async fn make(seed: u64, wanted: Option<&'static Kind>, path: &Path) -> Word {
    let mut script = File::create(path).unwrap();
    let mut world = World::new(Durability::Synchronous).await;
    let mut generator = Generator::new(seed, wanted);
    let (mut contents, mut kinds) = (Contents::default(), Vec::new());
    let (mut replayed, ended) = (None, async {
        while let Some((kind, step)) = generator.next(&mut world).await? {
            writeln!(script, "{step}").unwrap();
            let outcome = world.take(&step).await?;
            let counts = contents.statements.entry(kind.to_owned()).or_default();
            kinds.push(outcome.is_ok().then_some(kind));
            if outcome.is_ok() {
                counts.0 += 1;
            } else {
                counts.1 += 1;
                if let Step::Sql(number, _) = step {
                    generator.failed(number);
                }
            }
            if world.is_dead() {
                break;
            }
        }
        Ok(())
    });
    let ended = match ended.await {
        Ok(()) => world.kill(&mut replayed).await,
        failed => failed,
    };
    if let Some(Replayed { steps, log }) = replayed {
        contents.replayed = kinds[steps].iter().flatten().map(|kind| (*kind).to_owned()).collect();
        for record in wal::records(&log) {
            *contents.records.entry(format!("{record:?}")).or_default() += 1;
        }
    }
    word(ended, contents, std::fs::read_to_string(path).unwrap())
}
