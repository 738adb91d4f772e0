//! Roost: see docs/.
