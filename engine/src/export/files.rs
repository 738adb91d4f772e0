//! Files of an export.
use super::error::ExportError;
use std::io::Write;
use std::path::Path;

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> ExportError {
    move |source| ExportError::File { path: path.to_owned(), source }
}

pub(super) fn make_directory(path: &Path) -> Result<(), ExportError> {
    std::fs::create_dir_all(path).map_err(at(path))
}

pub(super) fn read_text(path: &Path) -> Result<String, ExportError> {
    std::fs::read_to_string(path).map_err(at(path))
}

pub(super) fn remove(path: &Path) -> Result<(), ExportError> {
    std::fs::remove_file(path).map_err(at(path))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), ExportError> {
    std::fs::write(path, text).map_err(at(path))
}

pub(super) fn append(path: &Path, text: &str) -> Result<(), ExportError> {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).map_err(at(path))?;
    writeln!(file, "{text}").map_err(at(path))
}

/// Size in bytes, and BLAKE3 in hex.
pub(super) fn digest(path: &Path) -> Result<(u64, String), ExportError> {
    let mut hasher = blake3::Hasher::new();
    let mut file = std::fs::File::open(path).map_err(at(path))?;
    let bytes = std::io::copy(&mut file, &mut hasher).map_err(at(path))?;
    Ok((bytes, hasher.finalize().to_hex().to_string()))
}

/// The last part of a path.
pub(super) fn name_of(path: &str) -> Option<String> {
    Path::new(path).file_name().and_then(|name| name.to_str()).map(str::to_owned)
}
