//! [`fuzz::forwarded`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(forwarded);
