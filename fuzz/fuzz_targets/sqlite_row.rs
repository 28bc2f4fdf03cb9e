//! [`fuzz::sqlite_row`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(sqlite_row);
