//! [`fuzz::keygrip`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(keygrip);
