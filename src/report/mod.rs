//! Runs as text: figures, tables, and the plain progress report for those who have no full-screen terminal.

pub mod figures;
pub mod layers;
pub mod progress;
pub mod recipes;
pub mod standing;
pub mod table;
