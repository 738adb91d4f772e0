//! Following the roots, and comparing what they reach with what is listed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::history::{self, Following, History, Past};
use super::manifests::{KnownManifests, Manifests};
use super::reached::{self, Reached};
use super::report::PastStream;
use super::roots;
use super::standing::{Roots, Standing};
use super::verify::Verifier;
use super::{Finding, Report};
use crate::bucket::Bucket;
use crate::encryption::{ClassKeys, Codec, KeyError, wrapped_by};
use crate::environment::Environment;
use crate::format::ReadError;
use crate::format::manifest::Manifest;
use crate::format::name::ObjectName;
use crate::format::segment::{MAX_SEAL_BYTES, Slot};
use crate::format::tenant::TenantRecord;
use crate::identity::TenantPath;
use crate::keys::Keys;
use crate::mutation::{Mutation, broken};
use crate::object::{Listed, ObjectError, ObjectStore};
use crate::position::Position;
use crate::state;
use crate::stream;

/// Depth of a walk: how much it reads.
#[derive(Debug, Clone, Copy)]
pub enum Depth<'a> {
    /// Roots, manifests and pages. Packs and segments are only looked for.
    Names,
    /// Every byte that any kept state refers to: each chunk's hash and each stream's is checked. With the keys of the
    /// class, without which nothing can be said of a tenant that is encrypted.
    Bytes(Option<&'a ClassKeys>),
}

/// Whose pages a walk reads. The manifests are read in any case, and that the pages are there is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Those of every state; and whether what follows for [`Pages::OfEnds`] is true.
    OfAll,
    /// Of HEADs, of pins, and of the oldest state of each branch. What a state in between refers to follows: it is the
    /// oldest one's, or was made for a manifest in between, as its name says.
    OfEnds,
}

/// Which state of a branch a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    End,
    Between,
}

/// Looks after each of which something else seemed to be missing.
const MAX_LOOKS: usize = 8;

/// Walks one tenant's prefix: roots first, then the listing, so that what is published meanwhile is never called a
/// leftover of an ended attempt. `history` says what of the past must be there.
///
/// # Errors
/// When the bucket does not answer. Damage is no error but a [`Finding`].
pub async fn walk(
    store: Arc<dyn ObjectStore>,
    path: &TenantPath,
    environment: Environment,
    history: History,
    depth: Depth<'_>,
) -> Result<Report, ReadError> {
    let (bucket, keys) = (Bucket::new(store, environment), Keys::new(path));
    let mut walk = Walk::new(bucket, keys, Pages::OfAll, KnownManifests::default());
    let mut report = walk.report(history).await?;
    if let Depth::Bytes(keys) = depth {
        if let Err(error) = walk.unlock(keys, path).await? {
            report.findings.push(Finding { needed_by: "tenant.json".into(), problem: error.to_string() });
            return Ok(report);
        }
        let mut verifier = Verifier::new(&walk.bucket, &walk.keys);
        let mut found = walk.verify(history, &mut verifier).await?;
        if !found.is_empty() {
            let again = walk.verify(history, &mut Verifier::new(&walk.bucket, &walk.keys)).await?;
            found.retain(|finding| again.contains(finding) && !report.findings.contains(finding));
        }
        report.findings.append(&mut found);
        report.findings.extend(walk.verify_merged(&report.streams).await?);
        report.verified = Some(verifier.verified);
    }
    Ok(report)
}

/// A walk that may be repeated: what never changes is read once.
pub(crate) struct Walk {
    bucket: Bucket,
    keys: Keys,
    wanted: Pages,
    known: KnownManifests,
    /// The packs of pages that were read.
    pages: Mutex<HashMap<ObjectName, Arc<[String]>>>,
}

impl Walk {
    pub(crate) fn new(bucket: Bucket, keys: Keys, wanted: Pages, known: KnownManifests) -> Self {
        Self { bucket, keys, wanted, known, pages: Mutex::default() }
    }

    /// Has chunks and WAL read with the tenant's data key.
    async fn unlock(
        &mut self,
        keys: Option<&ClassKeys>,
        path: &TenantPath,
    ) -> Result<Result<(), KeyError>, ReadError> {
        let record = match self.bucket.find::<TenantRecord>(&self.keys.tenant()).await {
            Ok(found) => found.map(|(record, _)| record),
            Err(ReadError::Object(error)) => return Err(error.into()),
            // Damage was told of already.
            Err(_) => None,
        };
        let Some(wrapped) = record.and_then(|record| record.data_key) else { return Ok(Ok(())) };
        let key = keys.ok_or(KeyError::NotGiven).and_then(|keys| keys.unwrap(&wrapped, path));
        Ok(key.map(|key| self.bucket.codec = Codec::new(Some(&key))))
    }

    /// Reports on everything under the prefix; `history` says how much of the past is needed.
    pub(crate) async fn report(&self, history: History) -> Result<Report, ReadError> {
        let mut report = self.look(history).await?;
        for _ in 0..MAX_LOOKS {
            if report.findings.is_empty() {
                break;
            }
            // HEAD may have moved on from what a collector then removed. What is missing twice is missing.
            let again = self.look(history).await?;
            let confirmed = again.findings.iter().any(|finding| report.findings.contains(finding));
            report = again;
            if confirmed {
                break;
            }
        }
        Ok(report)
    }

    async fn look(&self, history: History) -> Result<Report, ReadError> {
        let mut findings = Vec::new();
        let roots = roots::read(&self.bucket, &self.keys, &mut findings).await?;
        let mut report = Report::new(self.keys.root());
        let mut reached = self.follow(&roots, history, &mut report, &mut findings).await?;
        let listed = roots::list(&self.bucket, self.keys.root()).await?;
        for object in &listed {
            if let Some((branch, stream)) = reached::merged(self.relative(&object.key)) {
                reached.is_merged(branch, stream);
            }
        }
        self.guard(&listed, &mut reached).await?;
        let there: BTreeSet<&str> = listed.iter().map(|listed| self.relative(&listed.key)).collect();
        for (relative, needed_by) in reached.needed().filter(|(key, _)| !there.contains(key)) {
            let problem = ObjectError::NotFound { key: self.keys.relative(relative) }.to_string();
            let missing = finding(needed_by, problem);
            if !findings.contains(&missing) {
                findings.push(missing);
            }
        }
        report.owner = roots.record.as_ref().map(|record| record.owner.clone());
        let wrapped = roots.record.as_ref().and_then(|record| record.data_key.as_deref());
        report.encryption_key = wrapped.map(|wrapped| wrapped_by(wrapped).to_owned());
        report.branches = roots.heads.keys().map(ToString::to_string).collect();
        let damaged = !findings.is_empty();
        report.findings = findings;
        for Listed { key, size } in &listed {
            let relative = self.relative(key);
            let standing = if reached.holds(relative) { None } else { roots.standing(relative) };
            let standing = match standing {
                Some(Standing::Ended(_)) if reached.is_replaced(relative) => {
                    Some(Standing::Ended("its stream was put into one object".into()))
                }
                standing => standing,
            };
            report.add(key, *size, standing.map(|standing| next_to_damage(standing, damaged)));
        }
        self.note_slots(&listed, &reached, &mut report);
        Ok(report)
    }

    /// Says of the streams that are over which are merged, and how much of their slots is there.
    fn note_slots(&self, listed: &[Listed], reached: &Reached, report: &mut Report) {
        let mut bytes: HashMap<_, u64> = HashMap::new();
        for Listed { key, size } in listed {
            let relative = self.relative(key);
            let Some((branch, id, _)) = reached::slot(relative) else { continue };
            let stream = (branch, id);
            if reached.is_replaced(relative) {
                report.replaced.insert(stream.clone());
            }
            *bytes.entry(stream).or_default() += size;
        }
        for past in &mut report.streams {
            let stream = (past.branch.clone(), past.end.stream);
            past.slots = bytes.get(&stream).copied().unwrap_or_default();
            past.is_merged = reached.has_merged(&stream);
        }
    }

    fn relative<'a>(&self, key: &'a str) -> &'a str {
        self.keys.within(key).unwrap_or(key)
    }

    /// Follows the roots to everything that they reach, and notes since when each branch can be recovered.
    async fn follow(
        &self,
        roots: &Roots,
        history: History,
        report: &mut Report,
        findings: &mut Vec<Finding>,
    ) -> Result<Reached, ReadError> {
        let mut reached = Reached::default();
        for (needed_by, position) in self.promises(roots).await {
            let needed_by: Arc<str> = needed_by.into();
            if let Some(id) = position.stream() {
                for number in 1..=position.sequence {
                    let slot = self.keys.slot(&position.branch, &id, number);
                    reached.need(self.relative(&slot).to_owned(), &needed_by);
                }
            }
            let manifest = state::load_manifest(&self.bucket, &self.keys, position).await;
            let manifest = manifest.as_ref().map_err(Clone::clone);
            self.reach(&mut reached, position, manifest, Place::End, &needed_by, findings).await?;
        }
        for (branch, head) in &roots.heads {
            let needed_by: Arc<str> = format!("branch {branch}").into();
            let chain = match history::read_back(&self.manifests(roots), head, history).await {
                Ok(chain) => chain,
                Err(error) => {
                    let found = damage(error)?.map(|problem| finding(&needed_by, problem));
                    // If it is HEAD's own manifest, that was told above.
                    let new = found.filter(|found| !findings.contains(found));
                    findings.extend(new);
                    continue;
                }
            };
            report.recoverable_from.extend(chain.last().map(|oldest| (branch.to_string(), oldest.since())));
            let followed = chain.iter().rev().nth(1).map(Past::since);
            report.next_past = report.next_past.into_iter().chain(followed).min();
            let mut older = chain.len();
            for past in chain {
                older -= 1;
                let place = if older == 0 { Place::End } else { Place::Between };
                if let Some(Following::Over(end)) = &past.following {
                    reached.is_over(branch.clone(), end.stream);
                    report.streams.push(PastStream::new(branch.clone(), end.clone()));
                }
                self.reach_past(&mut reached, past, place, &needed_by, findings).await?;
            }
        }
        for (pack, needed_by) in reached.settle() {
            let problem = format!(
                "{} is neither of the oldest state nor made for a later one: a collection would delete it",
                self.keys.relative(&pack)
            );
            findings.push(finding(&needed_by, problem));
        }
        Ok(reached)
    }

    fn manifests<'w>(&'w self, roots: &'w Roots) -> Manifests<'w> {
        Manifests { bucket: &self.bucket, keys: &self.keys, known: &self.known, listed: &roots.manifests }
    }

    /// Every position that must be readable, and for whom. A pin that nobody uses promises nothing of a manifest that is
    /// gone: whoever put it died before it looked.
    async fn promises<'r>(&self, roots: &'r Roots) -> Vec<(String, &'r Position)> {
        let mut promises = Vec::new();
        for (needed_by, position) in positions(roots) {
            let void = roots.is_unused(&needed_by) && {
                let manifest = state::load_manifest(&self.bucket, &self.keys, position).await;
                matches!(manifest, Err(ReadError::Object(ObjectError::NotFound { .. })))
            };
            if !void {
                promises.push((needed_by, position));
            }
        }
        promises
    }

    async fn reach_past(
        &self,
        reached: &mut Reached,
        past: Past,
        place: Place,
        needed_by: &Arc<str>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ReadError> {
        let Past { manifest, current, .. } = past;
        let position = manifest.position();
        let mut found = Vec::new();
        self.reach(reached, &position, Ok(&manifest), place, needed_by, &mut found).await?;
        // A collector may have been faster than this walk.
        let collected = !current
            && !found.is_empty()
            && self.bucket.find::<Manifest>(&self.keys.manifest(&position)).await?.is_none();
        if !collected {
            findings.append(&mut found);
        }
        Ok(())
    }

    /// A manifest's objects.
    async fn reach(
        &self,
        reached: &mut Reached,
        position: &Position,
        manifest: Result<&Manifest, ReadError>,
        place: Place,
        needed_by: &Arc<str>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ReadError> {
        reached.follow(position);
        let key = self.keys.manifest(position);
        if !reached.need(self.relative(&key).to_owned(), needed_by) {
            return Ok(());
        }
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.extend(damage(error)?.map(|problem| finding(needed_by, problem)));
                return Ok(());
            }
        };
        for (index, page) in manifest.pages.iter().enumerate() {
            reached.need(self.relative(&self.keys.page(&page.name)).to_owned(), needed_by);
            if (place, self.wanted) == (Place::Between, Pages::OfEnds) {
                continue;
            }
            match self.packs(manifest, index).await {
                Ok(packs) if place == Place::Between => packs.iter().for_each(|pack| {
                    reached.need_between(pack.clone(), needed_by);
                }),
                Ok(packs) => packs.iter().for_each(|pack| {
                    reached.need(pack.clone(), needed_by);
                }),
                // Also one that is gone: nothing may rely on what is not known of an end.
                Err(error) => {
                    findings.extend(damaged(Err(error))?.map(|problem| finding(needed_by, problem)));
                }
            }
        }
        Ok(())
    }

    async fn packs(&self, manifest: &Manifest, index: usize) -> Result<Arc<[String]>, ReadError> {
        let name = &manifest.pages[index].name;
        let known = self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(packs) = known {
            return Ok(packs);
        }
        let page = state::load_page(&self.bucket, &self.keys, manifest, index).await?;
        let packs = page.packs.iter().map(|pack| self.relative(&self.keys.pack(pack)).to_owned()).collect();
        let packs: Arc<[String]> = packs;
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), packs.clone());
        Ok(packs)
    }

    /// Keeps the seals of every stream and the segment before them: while they are there, a write that an ended owner
    /// sent long ago cannot take effect.
    async fn guard(&self, listed: &[Listed], reached: &mut Reached) -> Result<(), ReadError> {
        let mut streams: BTreeMap<_, Vec<(u64, &Listed)>> = BTreeMap::new();
        for object in listed {
            if let Some((branch, id, number)) = reached::slot(self.relative(&object.key)) {
                streams.entry((branch, id)).or_default().push((number, object));
            }
        }
        // Where all slots stay there is nothing to ask.
        streams.retain(|stream, _| !reached.keeps(stream));
        for slots in streams.values_mut() {
            slots.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
            let mut sealed = false;
            for (_, slot) in slots {
                let seal = slot.size <= MAX_SEAL_BYTES && self.is_seal(&slot.key).await?;
                sealed |= seal;
                if sealed && !broken(Mutation::CollectSeals) {
                    reached.guard(self.relative(&slot.key).to_owned());
                }
                if !seal {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn is_seal(&self, key: &str) -> Result<bool, ReadError> {
        match self.bucket.find::<Slot>(key).await {
            Ok(found) => Ok(matches!(found, Some((Slot::Seal(_), _)))),
            Err(error) => {
                // What cannot be read is no reason to let anything go.
                damage(error)?;
                Ok(true)
            }
        }
    }

    /// Reads the merged objects, whose slots may still be there and are read first.
    async fn verify_merged(&self, streams: &[PastStream]) -> Result<Vec<Finding>, ReadError> {
        let mut findings = Vec::new();
        for PastStream { branch, end, .. } in streams.iter().filter(|past| past.is_merged) {
            match stream::check_merged(&self.bucket, &self.keys, branch, end).await {
                // It was collected meanwhile, with all of its stream.
                Ok(()) | Err(ReadError::Object(ObjectError::NotFound { .. })) => {}
                Err(error) => {
                    let needed_by = format!("branch {branch}");
                    findings.extend(damage(error)?.map(|problem| finding(&needed_by, problem)));
                }
            }
        }
        Ok(findings)
    }

    /// Reads all that any kept state refers to.
    async fn verify(&self, history: History, verifier: &mut Verifier<'_>) -> Result<Vec<Finding>, ReadError> {
        let mut findings = Vec::new();
        let roots = roots::read(&self.bucket, &self.keys, &mut Vec::new()).await?;
        for (needed_by, position) in self.promises(&roots).await {
            let problem = verifier.position(position).await;
            findings.extend(damaged(problem)?.map(|problem| finding(&needed_by, problem)));
        }
        for (branch, head) in &roots.heads {
            let needed_by = format!("branch {branch}");
            let Ok(chain) = history::read_back(&self.manifests(&roots), head, history).await else {
                continue;
            };
            for Past { manifest, following, current } in chain {
                let problem = damaged(verifier.past(&manifest, following).await)?;
                let key = self.keys.manifest(&manifest.position());
                if let Some(problem) = problem
                    && (current || self.bucket.find::<Manifest>(&key).await?.is_some())
                {
                    findings.push(finding(&needed_by, problem));
                }
            }
        }
        Ok(findings)
    }
}

/// Tells what is wrong; none for a missing object, which is told elsewhere. The outer error: the bucket did not answer.
fn damage(error: ReadError) -> Result<Option<String>, ReadError> {
    match error {
        // The listing tells whether it is there.
        ReadError::Object(ObjectError::NotFound { .. }) => Ok(None),
        ReadError::Object(error) if !matches!(error, ObjectError::TooShort { .. }) => Err(error.into()),
        damage => Ok(Some(damage.to_string())),
    }
}

fn damaged(result: Result<(), ReadError>) -> Result<Option<String>, ReadError> {
    match result {
        Ok(()) => Ok(None),
        Err(ReadError::Object(error @ ObjectError::NotFound { .. })) => Ok(Some(error.to_string())),
        Err(error) => damage(error),
    }
}

fn finding(needed_by: &str, problem: String) -> Finding {
    Finding { needed_by: needed_by.to_owned(), problem }
}

/// Next to damage nothing is garbage: what seems unneeded may belong to what cannot be read.
fn next_to_damage(standing: Standing, damaged: bool) -> Standing {
    match standing {
        Standing::Ended(why) if damaged => {
            Standing::UnderWay(format!("{why}; kept, because something is damaged"))
        }
        standing => standing,
    }
}

/// Every position that somebody names, and who.
fn positions(roots: &Roots) -> impl Iterator<Item = (String, &Position)> {
    let heads =
        roots.heads.iter().filter_map(|(branch, head)| Some((format!("branch {branch}"), head.state()?)));
    let pins = roots.pins.iter().map(|(key, pin)| (key.clone(), &pin.position));
    heads.chain(pins)
}
