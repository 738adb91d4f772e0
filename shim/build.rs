//! Compiles the C++ side against DuckDB's headers and tells dependants where the engine library is.
use std::env;
use std::path::{Path, PathBuf};

const SOURCES: [&str; 13] = [
    "alteration.cpp",
    "commit_check.cpp",
    "database.cpp",
    "definition.cpp",
    "failure.cpp",
    "file_system.cpp",
    "former_columns.cpp",
    "former_names.cpp",
    "function_guard.cpp",
    "older_transactions.cpp",
    "plan_facts.cpp",
    "portable_script.cpp",
    "statement.cpp",
];

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo:rerun-if-env-changed=DUCKDB_INCLUDE_DIR");
    println!("cargo:rerun-if-changed=cpp");
    let include = include_dir();
    println!("cargo:include={}", include.display());

    // NDEBUG and C++17 as the official library was built with: its inline checks and types must be the same.
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .define("NDEBUG", None)
        .opt_level(1)
        .include("cpp")
        .flag("-isystem")
        .flag(include.to_string_lossy().as_ref())
        .flag_if_supported("-Wno-unused-parameter")
        .files(SOURCES.iter().map(|name| Path::new("cpp").join(name)))
        .compile("roost_duckdb_shim");

    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    if let Some(dir) = env::var_os("DUCKDB_LIB_DIR").and_then(|dir| std::fs::canonicalize(dir).ok()) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir.display());
    }
}

/// `DUCKDB_INCLUDE_DIR`, or what the `libduckdb-sys` build script found.
fn include_dir() -> PathBuf {
    env::var_os("DUCKDB_INCLUDE_DIR")
        .or_else(|| env::var_os("DEP_DUCKDB_INCLUDE"))
        .map(PathBuf::from)
        .and_then(|dir| std::fs::canonicalize(dir).ok())
        .unwrap_or_else(|| {
            eprintln!("DUCKDB_INCLUDE_DIR must name DuckDB's headers (deploy/engine/fetch gets them)");
            std::process::exit(1)
        })
}
