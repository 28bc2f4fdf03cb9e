//! [`fuzz::server_rows`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(server_rows);
