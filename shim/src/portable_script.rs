//! Scripts that create objects anywhere.
use crate::error::EngineError;
use crate::ffi::{self, Text};

/// The CREATE statements of `script` (as DuckDB writes them) without these names of the database that they were in, so
/// that they run in a database of any name. A statement that has none of them stays as it is.
pub fn portable_script(script: &str, names: &[&str]) -> Result<String, EngineError> {
    let script = Text::sql(script)?;
    let names = names.iter().map(|name| Text::name(name)).collect::<Result<Vec<_>, _>>()?;
    let mut result: Vec<String> = Vec::new();
    // SAFETY: the texts are borrowed for the call, and the sink takes a vector of this type.
    unsafe {
        ffi::check(ffi::roost_portable_script(
            script,
            names.as_ptr(),
            names.len(),
            (&raw mut result).cast(),
            ffi::push_text,
        ))?;
    }
    Ok(result.concat())
}
