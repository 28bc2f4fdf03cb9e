//! [`fuzz::cookie_header`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(cookie_header);
