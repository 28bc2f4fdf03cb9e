//! [`fuzz::proxy_peer`] as a program.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(proxy_peer);
