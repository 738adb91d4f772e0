//! Callbacks by which C++ has a plan judged: they collect its records, ask the [`PlanGuard`], keep panics on this side.
use crate::ffi::{GuardTable, Status, Text, roost_callback_fail};
use crate::plan::{Caller, ContextId, PlanFacts, PlanGuard, Refusal, Renaming, Stage, Trust};
use crate::plan_records::add_record;
use crate::statement::StatementKind;
use crate::vfs_calls::panic_text;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type SharedGuard = Arc<dyn PlanGuard>;

pub fn guard_table(guard: SharedGuard) -> GuardTable {
    GuardTable {
        this: Box::into_raw(Box::new(guard)).cast(),
        begin,
        record,
        judge,
        discard,
        renaming,
        drop: drop_guard,
    }
}

unsafe extern "C" fn begin(_this: *mut c_void, stage: u8, statement: u8) -> *mut c_void {
    let stage = if stage == 0 { Stage::Parsed } else { Stage::Bound };
    Box::into_raw(Box::new(PlanFacts::empty(stage, StatementKind::from_code(statement)))).cast()
}

unsafe extern "C" fn record(facts: *mut c_void, tag: u8, fields: *const Text, count: usize) {
    // SAFETY: C++ passes what `begin` made, and `count` texts that live for this call.
    let (facts, fields) = unsafe {
        let texts = if count == 0 { &[] } else { std::slice::from_raw_parts(fields, count) };
        let fields: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
        (&mut *facts.cast::<PlanFacts>(), fields)
    };
    add_record(facts, tag, &fields);
}

unsafe extern "C" fn judge(
    this: *mut c_void,
    facts: *mut c_void,
    slot: *mut c_void,
    context: u64,
    trust: u8,
) -> Status {
    // SAFETY: C++ passes our own table and, for the last time, what `begin` made.
    let (guard, facts) = unsafe { (&*this.cast::<SharedGuard>(), Box::from_raw(facts.cast::<PlanFacts>())) };
    let trust = match trust {
        0 => Trust::Client,
        1 => Trust::Own,
        _ => Trust::Unknown,
    };
    let caller = Caller { context: ContextId(context), trust };
    let verdict = catch_unwind(AssertUnwindSafe(|| guard.judge(caller, &facts)));
    let refusal = match verdict {
        Ok(Ok(())) => return 0,
        Ok(Err(refusal)) => refusal,
        Err(panic) => Refusal {
            message: format!("The statement policy failed: {}", panic_text(panic.as_ref())),
            code: "policy-panicked",
        },
    };
    // SAFETY: C++ passed the slot for this call; the texts are borrowed.
    unsafe { roost_callback_fail(slot, 1, Text::data(&refusal.message), Text::data(refusal.code)) };
    1
}

unsafe extern "C" fn discard(facts: *mut c_void) {
    // SAFETY: C++ passes, for the last time, what `begin` made.
    drop(unsafe { Box::from_raw(facts.cast::<PlanFacts>()) });
}

unsafe extern "C" fn renaming(this: *mut c_void, what: u8) {
    let what = match what {
        0 => Renaming::Begins,
        1 => Renaming::Failed,
        2 => Renaming::Committed,
        _ => Renaming::RolledBack,
    };
    // SAFETY: C++ passes our own table.
    let guard = unsafe { &*this.cast::<SharedGuard>() };
    let _: Result<(), _> = catch_unwind(AssertUnwindSafe(|| guard.renaming(what)));
}

unsafe extern "C" fn drop_guard(this: *mut c_void) {
    // SAFETY: C++ calls this once, last, with what `guard_table` made.
    let owned = unsafe { Box::from_raw(this.cast::<SharedGuard>()) };
    let _: Result<(), _> = catch_unwind(AssertUnwindSafe(|| drop(owned)));
}
