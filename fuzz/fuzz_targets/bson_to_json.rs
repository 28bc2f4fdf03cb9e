//! [`fuzz::bson_to_json`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(bson_to_json);
