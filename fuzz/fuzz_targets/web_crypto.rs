#![cfg_attr(fuzzing, no_main)]

fuzz::target!(web_crypto);
