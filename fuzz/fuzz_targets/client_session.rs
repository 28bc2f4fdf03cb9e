//! [`fuzz::client_session`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(client_session);
