//! [`fuzz::sealed_session`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(sealed_session);
