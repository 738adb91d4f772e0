//! Declarations of `cpp/roost.h`, and the few conversions at that border.
use crate::error::{EngineError, ErrorKind};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::marker::{PhantomData, PhantomPinned};

// Links DuckDB itself.
use libduckdb_sys as _;

macro_rules! opaque {
    ($($name:ident)*) => {
        $(
            #[repr(C)]
            pub struct $name {
                data: [u8; 0],
                marker: PhantomData<(*mut u8, PhantomPinned)>,
            }
        )*
    };
}
opaque!(Failure RawDatabase RawConnection RawInterrupt RawStatement RawPrepared RawResult);

/// Borrowed UTF-8 text (or bytes) that crosses the border for one call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    data: *const c_char,
    size: usize,
}

impl Text {
    /// Text that is data: every byte of it counts.
    pub fn data(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }

    /// SQL. DuckDB's parser reads up to the first NUL byte: what follows (a WHERE, say) would not be there for it.
    pub fn sql(text: &str) -> Result<Self, EngineError> {
        match nul_in(text) {
            None => Ok(Self::data(text)),
            Some(position) => Err(EngineError {
                kind: ErrorKind::Parser,
                message: format!(
                    "The SQL holds a NUL byte, at byte {position}: nothing of it was executed. Take the byte out; in a \
                     text write it as chr(0), or give the text as a parameter"
                ),
                position: Some(position),
                extra: BTreeMap::new(),
            }),
        }
    }

    /// A name or a setting. Much of DuckDB takes such a text up to its first NUL byte.
    pub fn name(text: &str) -> Result<Self, EngineError> {
        match nul_in(text) {
            None => Ok(Self::data(text)),
            Some(position) => Err(EngineError::invalid_input(format!(
                "the name or setting {text:?} holds a NUL byte, at byte {position}"
            ))),
        }
    }

    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), size: bytes.len() }
    }

    /// # Safety
    /// `data` must be readable for `size` bytes, or `size` be 0.
    pub unsafe fn to_string(self) -> String {
        if self.size == 0 {
            return String::new();
        }
        // SAFETY: the caller promises that the range is readable.
        let bytes = unsafe { std::slice::from_raw_parts(self.data.cast::<u8>(), self.size) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

fn nul_in(text: &str) -> Option<usize> {
    text.bytes().position(|byte| byte == 0)
}

pub type Status = i32;
pub type TextSink = unsafe extern "C" fn(*mut c_void, Text);
pub type PairSink = unsafe extern "C" fn(*mut c_void, Text, Text);

#[repr(C)]
pub struct VfsTable {
    pub this: *mut c_void,
    pub open: unsafe extern "C" fn(*mut c_void, *mut c_void, Text, u64, u8, *mut *mut c_void) -> Status,
    pub exists: unsafe extern "C" fn(*mut c_void, *mut c_void, Text, *mut bool) -> Status,
    pub remove: unsafe extern "C" fn(*mut c_void, *mut c_void, Text, *mut bool) -> Status,
    pub rename: unsafe extern "C" fn(*mut c_void, *mut c_void, Text, Text) -> Status,
    pub drop: unsafe extern "C" fn(*mut c_void),
    pub file_read: unsafe extern "C" fn(*mut c_void, *mut c_void, *mut u8, u64, u64, *mut u64) -> Status,
    pub file_write: unsafe extern "C" fn(*mut c_void, *mut c_void, *const u8, u64, u64) -> Status,
    pub file_append: unsafe extern "C" fn(*mut c_void, *mut c_void, *const u8, u64) -> Status,
    pub file_sync: unsafe extern "C" fn(*mut c_void, *mut c_void) -> Status,
    pub file_truncate: unsafe extern "C" fn(*mut c_void, *mut c_void, u64) -> Status,
    pub file_trim: unsafe extern "C" fn(*mut c_void, *mut c_void, u64, u64, *mut bool) -> Status,
    pub file_size: unsafe extern "C" fn(*mut c_void, *mut c_void, *mut u64) -> Status,
    pub file_drop: unsafe extern "C" fn(*mut c_void),
}

#[repr(C)]
pub struct GuardTable {
    pub this: *mut c_void,
    pub begin: unsafe extern "C" fn(*mut c_void, u8, u8) -> *mut c_void,
    pub record: unsafe extern "C" fn(*mut c_void, u8, *const Text, usize),
    pub judge: unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, u64, u8) -> Status,
    pub discard: unsafe extern "C" fn(*mut c_void),
    pub renaming: unsafe extern "C" fn(*mut c_void, u8),
    pub drop: unsafe extern "C" fn(*mut c_void),
}

#[repr(C)]
#[derive(Default)]
pub struct Properties {
    pub statement: u8,
    pub returns: u8,
    pub requires_valid_transaction: bool,
    pub complete: bool,
    pub streams: bool,
    pub parameters: u64,
}

#[repr(C)]
pub struct RawValue {
    pub kind: u8,
    pub low: u64,
    pub high: u64,
    pub number: f64,
    pub bytes: Text,
}

pub type FoundSink = unsafe extern "C" fn(*mut c_void, *mut RawStatement, u8, u64, u64, u64);
pub type ParameterSink = unsafe extern "C" fn(*mut c_void, Text, u64, Text);

unsafe extern "C" {
    fn roost_failure_read(
        failure: *const Failure,
        into: *mut c_void,
        head: unsafe extern "C" fn(*mut c_void, u8, Text),
        extra: PairSink,
    );
    fn roost_failure_free(failure: *mut Failure);
    pub fn roost_callback_fail(slot: *mut c_void, kind: u8, message: Text, code: Text);

    pub fn roost_database_open(
        config: *const Text,
        pairs: usize,
        vfs: *const VfsTable,
        guard: *const GuardTable,
        out: *mut *mut RawDatabase,
    ) -> *mut Failure;
    pub fn roost_database_former_names(
        database: *mut RawDatabase,
        names: *const Text,
        count: usize,
        place: bool,
    ) -> *mut Failure;
    pub fn roost_portable_script(
        script: Text,
        names: *const Text,
        count: usize,
        into: *mut c_void,
        sink: TextSink,
    ) -> *mut Failure;
    pub fn roost_database_free(database: *mut RawDatabase);
    pub fn roost_database_invalidated(
        database: *mut RawDatabase,
        into: *mut c_void,
        reason: TextSink,
    ) -> bool;
    pub fn roost_library_version(into: *mut c_void, sink: TextSink);
    pub fn roost_connect(
        database: *mut RawDatabase,
        id: u64,
        trust: u8,
        out: *mut *mut RawConnection,
    ) -> *mut Failure;
    pub fn roost_connection_use(connection: *mut RawConnection, database: Text) -> *mut Failure;
    pub fn roost_connection_use_all(connection: *mut RawConnection, database: Text) -> *mut Failure;
    pub fn roost_connection_free(connection: *mut RawConnection);
    pub fn roost_connection_in_transaction(connection: *mut RawConnection) -> bool;
    pub fn roost_connection_interrupt(connection: *mut RawConnection) -> *mut RawInterrupt;
    pub fn roost_interrupt_fire(handle: *mut RawInterrupt);
    pub fn roost_interrupt_progress(
        handle: *mut RawInterrupt,
        percentage: *mut f64,
        rows: *mut u64,
        total: *mut u64,
    ) -> bool;
    pub fn roost_interrupt_free(handle: *mut RawInterrupt);

    pub fn roost_guard_table_function(
        connection: *mut RawConnection,
        schema: Text,
        name: Text,
        refusal: Text,
    ) -> *mut Failure;
    pub fn roost_guard_scalar_function(
        connection: *mut RawConnection,
        schema: Text,
        name: Text,
        refusal: Text,
    ) -> *mut Failure;

    pub fn roost_extract(
        connection: *mut RawConnection,
        sql: Text,
        into: *mut c_void,
        found: FoundSink,
    ) -> *mut Failure;
    pub fn roost_statement_free(statement: *mut RawStatement);
    pub fn roost_prepare(
        connection: *mut RawConnection,
        statement: *mut RawStatement,
        out: *mut *mut RawPrepared,
    ) -> *mut Failure;
    pub fn roost_prepared_free(prepared: *mut RawPrepared);
    pub fn roost_prepared_properties(prepared: *const RawPrepared, out: *mut Properties);
    pub fn roost_prepared_databases(
        prepared: *const RawPrepared,
        modified: bool,
        into: *mut c_void,
        sink: TextSink,
    );
    pub fn roost_prepared_columns(prepared: *const RawPrepared, into: *mut c_void, column: PairSink);
    pub fn roost_prepared_parameters(
        prepared: *const RawPrepared,
        into: *mut c_void,
        parameter: ParameterSink,
    );
    pub fn roost_prepared_bind(
        prepared: *mut RawPrepared,
        name: Text,
        value: *const RawValue,
    ) -> *mut Failure;
    pub fn roost_prepared_clear(prepared: *mut RawPrepared);
    pub fn roost_execute(prepared: *mut RawPrepared, out: *mut *mut RawResult) -> *mut Failure;
    pub fn roost_result_free(result: *mut RawResult);
    pub fn roost_result_columns(result: *const RawResult, into: *mut c_void, column: PairSink);
    pub fn roost_result_returns(result: *const RawResult) -> u8;
    pub fn roost_result_schema(result: *mut RawResult, schema: *mut FFI_ArrowSchema) -> *mut Failure;
    pub fn roost_result_next(
        result: *mut RawResult,
        array: *mut FFI_ArrowArray,
        rows: *mut u64,
    ) -> *mut Failure;
}

/// An object of C++, freed when this is dropped.
pub struct Owned<T> {
    raw: *mut T,
    free: unsafe extern "C" fn(*mut T),
}

// SAFETY: the objects behind may be used and freed by any thread, one at a time, which `&mut` and ownership ensure.
unsafe impl<T> Send for Owned<T> {}

impl<T> Owned<T> {
    /// # Safety
    /// `raw` is a live object that nobody else frees, and `free` is its function.
    pub unsafe fn new(raw: *mut T, free: unsafe extern "C" fn(*mut T)) -> Self {
        Self { raw, free }
    }

    pub fn get(&self) -> *mut T {
        self.raw
    }

    /// Gives the object up to a call that takes it.
    pub fn into_raw(self) -> *mut T {
        let raw = self.raw;
        std::mem::forget(self);
        raw
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` was promised a live object of ours and its function.
        unsafe { (self.free)(self.raw) }
    }
}

/// Turns what a call returned into a result.
///
/// # Safety
/// `failure` is null or a failure that nobody else frees.
pub unsafe fn check(failure: *mut Failure) -> Result<(), EngineError> {
    if failure.is_null() {
        return Ok(());
    }
    let mut error = EngineError {
        kind: ErrorKind::Unknown,
        message: String::new(),
        position: None,
        extra: BTreeMap::new(),
    };
    // SAFETY: `failure` is live, and both sinks take the error that `into` points to.
    unsafe {
        roost_failure_read(failure, (&raw mut error).cast(), take_head, take_extra);
        roost_failure_free(failure);
    }
    // INTERNAL errors carry a stack trace of this process, which is nobody's business outside.
    error.extra.remove("stack_trace");
    error.extra.remove("stack_trace_pointers");
    if let Some(at) = error.message.find("\n\nStack Trace:") {
        error.message.truncate(at);
    }
    error.position = error.extra.remove("position").and_then(|position| position.parse().ok());
    Err(error)
}

unsafe extern "C" fn take_head(into: *mut c_void, kind: u8, message: Text) {
    // SAFETY: `check` passed an `EngineError`, and nothing else refers to it during the call.
    let error = unsafe { &mut *into.cast::<EngineError>() };
    error.kind = ErrorKind::from_code(kind);
    // SAFETY: C++ lends the text for this call.
    error.message = unsafe { message.to_string() };
}

unsafe extern "C" fn take_extra(into: *mut c_void, key: Text, value: Text) {
    // SAFETY: as in `take_head`.
    let error = unsafe { &mut *into.cast::<EngineError>() };
    // SAFETY: C++ lends the texts for this call.
    error.extra.insert(unsafe { key.to_string() }, unsafe { value.to_string() });
}

/// Sink that appends to a `Vec<String>`.
pub unsafe extern "C" fn push_text(into: *mut c_void, text: Text) {
    // SAFETY: callers of C++ pass a `Vec<String>` with this sink; C++ lends the text for this call.
    unsafe { (*into.cast::<Vec<String>>()).push(text.to_string()) }
}

/// Sink that appends to a `Vec<(String, String)>`.
pub unsafe extern "C" fn push_pair(into: *mut c_void, first: Text, second: Text) {
    // SAFETY: callers of C++ pass a `Vec<(String, String)>` with this sink; C++ lends the texts for this call.
    unsafe { (*into.cast::<Vec<(String, String)>>()).push((first.to_string(), second.to_string())) }
}

/// A parameter as C++ tells it: its place, its name, and its type if that is known.
pub type RawParameter = (u64, String, String);

/// Sink that appends to a `Vec<RawParameter>`.
pub unsafe extern "C" fn push_parameter(into: *mut c_void, name: Text, index: u64, kind: Text) {
    // SAFETY: callers of C++ pass a `Vec<RawParameter>` with this sink; C++ lends the texts for this call.
    unsafe { (*into.cast::<Vec<RawParameter>>()).push((index, name.to_string(), kind.to_string())) }
}
