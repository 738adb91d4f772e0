//! Reading the roots, following them, and comparing with what is listed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::standing::Roots;
use super::{Finding, MAX_OBJECTS, Report};
use crate::branch::read::{self, LoadedState};
use crate::bucket::Bucket;
use crate::environment::Environment;
use crate::format::ReadError;
use crate::format::json::Document;
use crate::identity::{BranchName, TenantPath};
use crate::keys::Keys;
use crate::object::{Listed, ObjectError, ObjectStore};
use crate::position::Position;
use crate::stream::{self, LoadedStream};

/// Walks one tenant's prefix: roots first, then the listing, so that what is published meanwhile is never called a
/// leftover of an ended attempt. Reads HEADs, pins, catalogue, manifests and pages; packs are only looked for.
///
/// # Errors
/// When the bucket does not answer. Damage is no error but a [`Finding`].
pub async fn walk(
    store: Arc<dyn ObjectStore>,
    path: &TenantPath,
    environment: Environment,
) -> Result<Report, ReadError> {
    let walk = Walk { bucket: Bucket { store, environment }, keys: Keys::new(path) };
    let mut findings = Vec::new();
    let roots = walk.roots(&mut findings).await?;
    let (reached, needed) = walk.follow(&roots, &mut findings).await?;
    let listed = walk.list("").await?;
    let there: BTreeSet<&str> = listed.iter().map(|listed| listed.key.as_str()).collect();
    for (pack, needed_by) in needed {
        if !there.contains(pack.as_str()) {
            let problem = ObjectError::NotFound { key: pack }.to_string();
            findings.push(Finding { needed_by, problem });
        }
    }
    Ok(walk.report(&roots, &reached, &listed, findings))
}

struct Walk {
    bucket: Bucket,
    keys: Keys,
}

impl Walk {
    async fn list(&self, below: &str) -> Result<Vec<Listed>, ReadError> {
        let listed = self.bucket.list(&self.keys.relative(below), None, MAX_OBJECTS).await?;
        if listed.len() < MAX_OBJECTS {
            return Ok(listed);
        }
        let key = self.keys.relative(below);
        Err(ReadError::Mismatch { key, why: format!("it has more than {MAX_OBJECTS} objects") })
    }

    fn relative<'a>(&self, key: &'a str) -> &'a str {
        key.strip_prefix(self.keys.root()).unwrap_or(key)
    }

    async fn roots(&self, findings: &mut Vec<Finding>) -> Result<Roots, ReadError> {
        let mut roots = Roots::default();
        let tenant = self.keys.tenant();
        roots.record = self.root(&tenant, &mut roots.unread, findings).await?;
        for listed in self.list("branches/").await? {
            if let Some((branch, "HEAD")) = self.relative(&listed.key)["branches/".len()..].split_once('/')
                && let Ok(branch) = BranchName::new(branch)
                && let Some(head) = self.root(&listed.key, &mut roots.unread, findings).await?
            {
                roots.heads.insert(branch, head);
            }
        }
        for listed in self.list("pins/").await? {
            if let Some(pin) = self.root(&listed.key, &mut roots.unread, findings).await? {
                roots.pins.insert(self.relative(&listed.key).to_owned(), pin);
            }
        }
        for listed in self.list("catalogue/").await? {
            if let Some(entry) = self.root(&listed.key, &mut roots.unread, findings).await? {
                roots.catalogue.insert(self.relative(&listed.key).to_owned(), entry);
            }
        }
        Ok(roots)
    }

    /// A root's content; none if it is gone, or not what it should be.
    async fn root<T: Document>(
        &self,
        key: &str,
        unread: &mut BTreeSet<String>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<T>, ReadError> {
        match self.bucket.find::<T>(key).await {
            Ok(Some((found, _))) => return Ok(Some(found)),
            Ok(None) => {}
            Err(ReadError::Object(error)) => return Err(error.into()),
            Err(damage) => {
                findings.push(Finding { needed_by: "the tenant".into(), problem: damage.to_string() });
            }
        }
        unread.insert(self.relative(key).to_owned());
        Ok(None)
    }

    /// Keys that the roots reach, and the packs among them with who needs each.
    async fn follow(
        &self,
        roots: &Roots,
        findings: &mut Vec<Finding>,
    ) -> Result<(BTreeSet<String>, Vec<(String, String)>), ReadError> {
        let mut seen = std::collections::HashSet::new();
        let (mut reached, mut packs) = (BTreeSet::new(), Vec::new());
        for (needed_by, position) in positions(roots) {
            if !seen.insert(position.clone()) {
                continue;
            }
            match read::load(&self.bucket, &self.keys, position).await {
                Ok(state) => {
                    self.reach(&state, &needed_by, &mut reached, &mut packs);
                    if let Some(wal) = &state.wal {
                        self.reach_stream(
                            &position.branch,
                            &wal.stream,
                            &needed_by,
                            &mut reached,
                            &mut packs,
                        );
                    }
                }
                Err(ReadError::Object(error)) if !matches!(error, ObjectError::NotFound { .. }) => {
                    return Err(error.into());
                }
                Err(damage) => {
                    reached.insert(self.keys.manifest(position));
                    findings.push(Finding { needed_by, problem: damage.to_string() });
                }
            }
        }
        for (branch, head) in &roots.heads {
            let Some(id) = head.stream.filter(|_| !head.sealed) else { continue };
            let needed_by = format!("branch {branch}");
            match stream::to_end(&self.bucket, &self.keys, branch, id).await {
                Ok(loaded) => self.reach_stream(branch, &loaded, &needed_by, &mut reached, &mut packs),
                Err(ReadError::Object(error)) => return Err(error.into()),
                Err(damage) => findings.push(Finding { needed_by, problem: damage.to_string() }),
            }
        }
        Ok((reached, packs))
    }

    fn reach_stream(
        &self,
        branch: &BranchName,
        loaded: &LoadedStream,
        needed_by: &str,
        reached: &mut BTreeSet<String>,
        packs: &mut Vec<(String, String)>,
    ) {
        reached.extend((1..loaded.next()).map(|number| self.keys.slot(branch, &loaded.end.id, number)));
        for pack in loaded.segments.iter().flat_map(|segment| &segment.packs) {
            let key = self.keys.pack(pack);
            if reached.insert(key.clone()) {
                packs.push((key, needed_by.to_owned()));
            }
        }
    }

    fn reach(
        &self,
        state: &LoadedState,
        needed_by: &str,
        reached: &mut BTreeSet<String>,
        packs: &mut Vec<(String, String)>,
    ) {
        reached.insert(self.keys.manifest(&state.manifest.position()));
        reached.extend(state.manifest.pages.iter().map(|page| self.keys.page(&page.name)));
        for pack in state.pages.iter().flat_map(|page| &page.packs) {
            let key = self.keys.pack(pack);
            if reached.insert(key.clone()) {
                packs.push((key, needed_by.to_owned()));
            }
        }
    }

    fn report(
        &self,
        roots: &Roots,
        reached: &BTreeSet<String>,
        listed: &[Listed],
        findings: Vec<Finding>,
    ) -> Report {
        let mut report = Report::new(self.keys.root());
        report.owner = roots.record.as_ref().map(|record| record.owner.clone());
        report.branches = roots.heads.keys().map(ToString::to_string).collect();
        report.findings = findings;
        for Listed { key, size } in listed {
            let standing = if reached.contains(key) { None } else { roots.standing(self.relative(key)) };
            report.add(key, *size, standing);
        }
        report
    }
}

/// Every position that must be readable, and for whom.
fn positions(roots: &Roots) -> impl Iterator<Item = (String, &Position)> {
    let heads =
        roots.heads.iter().filter_map(|(branch, head)| Some((format!("branch {branch}"), head.state()?)));
    let pins = roots.pins.iter().map(|(key, pin)| (key.clone(), &pin.position));
    heads.chain(pins)
}
