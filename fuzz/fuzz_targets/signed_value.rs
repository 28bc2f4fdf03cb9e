//! [`fuzz::signed_value`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(signed_value);
