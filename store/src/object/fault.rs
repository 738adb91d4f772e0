//! A wrapper that makes a store fail in every way a bucket can, by a seed.
