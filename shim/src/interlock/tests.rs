use super::*;
use crate::vfs::{Lock, VfsErrorKind};

const MAIN: &str = "roost://main";
const WAL: &str = "roost://main.wal";
const CHECKPOINT: &str = "roost://main.wal.checkpoint";
const RECOVERY: &str = "roost://main.wal.recovery";

const DATABASE: OpenFlags = OpenFlags::new(0b1001_0000_0011, Lock::Write);
const CREATED: OpenFlags = OpenFlags::new(0b1001_0000_1011, Lock::Write);
const DATABASE_READ_ONLY: OpenFlags = OpenFlags::new(0b1001_1000_0001, Lock::Read);
const REPLAY: OpenFlags = OpenFlags::new(0b1000_0001, Lock::None);
const APPEND: OpenFlags = OpenFlags::new(0b1000_0010_1010, Lock::Write);
const NEW: OpenFlags = OpenFlags::new(0b1_0010, Lock::None);
const COPY_TO: OpenFlags = OpenFlags::new(0b1_0010, Lock::Write);
const READER: OpenFlags = OpenFlags::new(1, Lock::Read);

fn kind<T>(result: Result<T, VfsError>) -> Option<VfsErrorKind> {
    result.err().map(|error| error.kind)
}

fn serving() -> (Arc<Interlock>, Handle) {
    let interlock = Interlock::new(MAIN, Access::ReadWrite);
    interlock.attaching().unwrap();
    let main = interlock.open(MAIN, DATABASE).unwrap();
    interlock.attached().unwrap();
    (interlock, main)
}

#[test]
fn creating_and_reopening_take_their_sequence() {
    for flags in [DATABASE, CREATED] {
        let interlock = Interlock::new(MAIN, Access::ReadWrite);
        assert_eq!(kind(interlock.open(MAIN, flags)), Some(VfsErrorKind::Refused), "before ATTACH");
        interlock.attaching().unwrap();
        interlock.exists(MAIN).unwrap();
        interlock.remove(WAL).unwrap();
        assert_eq!(kind(interlock.open(WAL, REPLAY)), Some(VfsErrorKind::Refused), "main comes first");
        let main = interlock.open(MAIN, flags).unwrap();
        main.write(0).unwrap();
        drop(interlock.open(WAL, REPLAY).unwrap());
        interlock.attached().unwrap();
    }
}

#[test]
fn attach_that_opened_nothing_here_is_fatal() {
    let interlock = Interlock::new(MAIN, Access::ReadWrite);
    interlock.attaching().unwrap();
    assert_eq!(kind(interlock.attached()), Some(VfsErrorKind::Fatal));
}

#[test]
fn while_serving_only_the_wal_opens_once() {
    let (interlock, main) = serving();
    let wal = interlock.open(WAL, APPEND).unwrap();
    for (path, flags) in [
        (WAL, APPEND),
        (MAIN, DATABASE),
        (MAIN, CREATED),
        (MAIN, COPY_TO),
        (MAIN, READER),
        (MAIN, REPLAY),
        (WAL, COPY_TO),
        (WAL, REPLAY),
        (RECOVERY, NEW),
        (CHECKPOINT, REPLAY),
        ("roost://other", COPY_TO),
        ("roost://main.walx", APPEND),
        ("roost://main/schema.sql", OpenFlags::new(1, Lock::None)),
    ] {
        assert_eq!(kind(interlock.open(path, flags)), Some(VfsErrorKind::Refused), "{path} {flags:?}");
    }
    assert_eq!(kind(interlock.exists(MAIN)), Some(VfsErrorKind::Refused));
    drop(wal);
    drop(interlock.open(WAL, APPEND).unwrap());
    drop(main);
    assert_eq!(
        kind(interlock.open(WAL, APPEND)),
        Some(VfsErrorKind::Refused),
        "after the main file was closed"
    );
}

#[test]
fn headers_and_wal_change_only_in_our_checkpoint() {
    let (interlock, main) = serving();
    assert_eq!(kind(main.write(4096)), Some(VfsErrorKind::Fatal));
    main.write(HEADER_BYTES).unwrap();
    assert_eq!(kind(interlock.remove(WAL)), Some(VfsErrorKind::Fatal));
    assert_eq!(kind(interlock.remove(MAIN)), Some(VfsErrorKind::Refused));
    let window = interlock.checkpoint().unwrap();
    assert_eq!(kind(interlock.checkpoint()), Some(VfsErrorKind::Fatal), "one at a time");
    main.write(4096).unwrap();
    interlock.remove(CHECKPOINT).unwrap();
    interlock.remove(WAL).unwrap();
    assert_eq!(kind(interlock.open(CHECKPOINT, APPEND)), Some(VfsErrorKind::Fatal), "the gate was open");
    drop(window);
    assert_eq!(kind(main.write(4096)), Some(VfsErrorKind::Fatal));
}

#[test]
fn recovery_happens_only_while_attaching() {
    let interlock = Interlock::new(MAIN, Access::ReadWrite);
    interlock.attaching().unwrap();
    let _main = interlock.open(MAIN, DATABASE).unwrap();
    let wal = interlock.open(WAL, REPLAY).unwrap();
    drop(interlock.open(CHECKPOINT, REPLAY).unwrap());
    drop(interlock.open(RECOVERY, NEW).unwrap());
    interlock.rename(RECOVERY, WAL).unwrap();
    interlock.remove(CHECKPOINT).unwrap();
    drop(interlock.open(WAL, OpenFlags::new(1, Lock::None)).unwrap());
    drop(wal);
    interlock.attached().unwrap();
    assert_eq!(kind(interlock.rename(RECOVERY, WAL)), Some(VfsErrorKind::Fatal));
    assert_eq!(kind(interlock.rename(MAIN, WAL)), Some(VfsErrorKind::Fatal));
}

#[test]
fn a_read_only_database_is_never_written() {
    let interlock = Interlock::new(MAIN, Access::ReadOnly);
    interlock.attaching().unwrap();
    assert_eq!(kind(interlock.open(MAIN, DATABASE)), Some(VfsErrorKind::Refused));
    let main = interlock.open(MAIN, DATABASE_READ_ONLY).unwrap();
    drop(interlock.open(WAL, REPLAY).unwrap());
    assert_eq!(kind(interlock.remove(WAL)), Some(VfsErrorKind::Refused));
    interlock.attached().unwrap();
    assert_eq!(kind(main.write(HEADER_BYTES)), Some(VfsErrorKind::Fatal));
    assert_eq!(kind(interlock.open(WAL, APPEND)), Some(VfsErrorKind::Refused));
}
