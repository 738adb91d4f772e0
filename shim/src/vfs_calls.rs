//! Callbacks by which C++ uses files: they forward to a [`Vfs`] and keep panics on this side.
use crate::ffi::{Status, Text, VfsTable, roost_callback_fail};
use crate::vfs::{Lock, OpenFlags, Vfs, VfsError, VfsErrorKind, VfsFile};
use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;

type SharedVfs = Arc<dyn Vfs>;
type BoxedFile = Box<dyn VfsFile>;

pub fn vfs_table(vfs: SharedVfs) -> VfsTable {
    VfsTable {
        this: Box::into_raw(Box::new(vfs)).cast(),
        open,
        exists,
        remove,
        rename,
        drop: drop_vfs,
        file_read,
        file_write,
        file_append,
        file_sync,
        file_truncate,
        file_trim,
        file_size,
        file_drop,
    }
}

/// Runs a callback; its error or panic goes into C++'s `slot`.
///
/// # Safety
/// `slot` is what C++ passed for this call.
unsafe fn answer(slot: *mut c_void, call: impl FnOnce() -> Result<(), VfsError>) -> Status {
    let error = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => error,
        Err(panic) => VfsError::fatal(format!("The file system failed: {}", panic_text(panic.as_ref()))),
    };
    let kind = match error.kind {
        VfsErrorKind::Io => 0,
        VfsErrorKind::Refused => 1,
        VfsErrorKind::Fatal => 2,
    };
    // SAFETY: the caller passes C++'s slot; the texts are borrowed for the call.
    unsafe { roost_callback_fail(slot, kind, Text::data(&error.message), Text::data("")) };
    1
}

pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}

fn to_usize(value: u64) -> Result<usize, VfsError> {
    usize::try_from(value).map_err(|_| VfsError::io("a file operation is too large for this machine"))
}

/// # Safety
/// `this` comes from [`vfs_table`] and was not dropped.
unsafe fn vfs<'a>(this: *mut c_void) -> &'a SharedVfs {
    // SAFETY: promised by the caller; it is shared only.
    unsafe { &*this.cast::<SharedVfs>() }
}

/// # Safety
/// `file` comes from [`open`] and was not dropped.
unsafe fn file<'a>(file: *mut c_void) -> &'a BoxedFile {
    // SAFETY: promised by the caller; it is shared only.
    unsafe { &*file.cast::<BoxedFile>() }
}

unsafe extern "C" fn open(
    this: *mut c_void,
    slot: *mut c_void,
    path: Text,
    flags: u64,
    lock: u8,
    out: *mut *mut c_void,
) -> Status {
    let lock = match lock {
        0 => Lock::None,
        1 => Lock::Read,
        _ => Lock::Write,
    };
    // SAFETY: C++ passes our own table, its slot, a text and a place to write, all live for this call.
    unsafe {
        let path = path.to_string();
        answer(slot, || {
            let opened = vfs(this).open(&path, OpenFlags::new(flags, lock))?;
            *out = opened.map_or(null_mut(), |file| Box::into_raw(Box::new(file)).cast());
            Ok(())
        })
    }
}

unsafe extern "C" fn exists(this: *mut c_void, slot: *mut c_void, path: Text, out: *mut bool) -> Status {
    // SAFETY: as in `open`.
    unsafe {
        let path = path.to_string();
        answer(slot, || {
            *out = vfs(this).exists(&path)?;
            Ok(())
        })
    }
}

unsafe extern "C" fn remove(this: *mut c_void, slot: *mut c_void, path: Text, out: *mut bool) -> Status {
    // SAFETY: as in `open`.
    unsafe {
        let path = path.to_string();
        answer(slot, || {
            *out = vfs(this).remove(&path)?;
            Ok(())
        })
    }
}

unsafe extern "C" fn rename(this: *mut c_void, slot: *mut c_void, from: Text, to: Text) -> Status {
    // SAFETY: as in `open`.
    unsafe {
        let (from, to) = (from.to_string(), to.to_string());
        answer(slot, || vfs(this).rename(&from, &to))
    }
}

unsafe extern "C" fn drop_vfs(this: *mut c_void) {
    // SAFETY: C++ calls this once, last, with what `vfs_table` made.
    let owned = unsafe { Box::from_raw(this.cast::<SharedVfs>()) };
    let _: Result<(), _> = catch_unwind(AssertUnwindSafe(|| drop(owned)));
}

unsafe extern "C" fn file_read(
    handle: *mut c_void,
    slot: *mut c_void,
    buffer: *mut u8,
    size: u64,
    offset: u64,
    read: *mut u64,
) -> Status {
    // SAFETY: C++ passes a file of ours, its slot, and a buffer of `size` initialised or plain bytes to fill,
    // which nothing else uses during the call.
    unsafe {
        answer(slot, || {
            let buffer = std::slice::from_raw_parts_mut(buffer, to_usize(size)?);
            *read = file(handle).read_at(buffer, offset)? as u64;
            Ok(())
        })
    }
}

unsafe extern "C" fn file_write(
    handle: *mut c_void,
    slot: *mut c_void,
    data: *const u8,
    size: u64,
    offset: u64,
) -> Status {
    // SAFETY: C++ passes a file of ours, its slot, and `size` readable bytes.
    unsafe {
        answer(slot, || file(handle).write_at(std::slice::from_raw_parts(data, to_usize(size)?), offset))
    }
}

unsafe extern "C" fn file_append(
    handle: *mut c_void,
    slot: *mut c_void,
    data: *const u8,
    size: u64,
) -> Status {
    // SAFETY: as in `file_write`.
    unsafe { answer(slot, || file(handle).append(std::slice::from_raw_parts(data, to_usize(size)?))) }
}

unsafe extern "C" fn file_sync(handle: *mut c_void, slot: *mut c_void) -> Status {
    // SAFETY: C++ passes a file of ours and its slot.
    unsafe { answer(slot, || file(handle).sync()) }
}

unsafe extern "C" fn file_truncate(handle: *mut c_void, slot: *mut c_void, size: u64) -> Status {
    // SAFETY: C++ passes a file of ours and its slot.
    unsafe { answer(slot, || file(handle).truncate(size)) }
}

unsafe extern "C" fn file_trim(
    handle: *mut c_void,
    slot: *mut c_void,
    offset: u64,
    size: u64,
    freed: *mut bool,
) -> Status {
    // SAFETY: C++ passes a file of ours, its slot and a place to write.
    unsafe {
        answer(slot, || {
            *freed = file(handle).trim(offset, size)?;
            Ok(())
        })
    }
}

unsafe extern "C" fn file_size(handle: *mut c_void, slot: *mut c_void, size: *mut u64) -> Status {
    // SAFETY: C++ passes a file of ours, its slot and a place to write.
    unsafe {
        answer(slot, || {
            *size = file(handle).size()?;
            Ok(())
        })
    }
}

unsafe extern "C" fn file_drop(handle: *mut c_void) {
    // SAFETY: C++ calls this once, last, with what `open` made.
    let owned = unsafe { Box::from_raw(handle.cast::<BoxedFile>()) };
    let _: Result<(), _> = catch_unwind(AssertUnwindSafe(|| drop(owned)));
}
