//! Runs as text: figures, tables, and the plain progress report for those who have no full-screen terminal.

pub mod figures;
pub mod layers;
pub mod measured;
pub mod pace;
pub mod progress;
pub mod recipes;
pub mod results;
pub mod standing;
pub mod table;
pub mod trial;
