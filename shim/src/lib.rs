//! DuckDB made safe.
