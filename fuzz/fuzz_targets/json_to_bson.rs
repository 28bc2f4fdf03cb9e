//! [`fuzz::json_to_bson`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(json_to_bson);
