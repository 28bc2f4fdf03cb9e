//! [`fuzz::web_crypto`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(web_crypto);
