//! Copies of buckets in folders.

use std::{fs, path::Path};

/// Copies a bucket as a process finds it that has nothing else; nothing if there is none yet.
pub fn copy_bucket(from: &Path, to: &Path) {
    if from.exists() {
        copy(&from.join("objects"), &to.join("objects"));
        fs::copy(from.join("id"), to.join("id")).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
