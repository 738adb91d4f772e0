//! Lets the benchmarks find the engine library: in the cache beside the checkout.
fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    if let Some(dir) = std::env::var_os("DUCKDB_LIB_DIR").and_then(|dir| std::fs::canonicalize(dir).ok()) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir.display());
    }
}
