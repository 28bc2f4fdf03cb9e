//! [`fuzz::redis_row`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(redis_row);
