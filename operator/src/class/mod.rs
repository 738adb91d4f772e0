//! TenantClass.

pub mod settings;
