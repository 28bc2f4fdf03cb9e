//! Every rule; pure.

pub(crate) mod decide;
pub(crate) mod merge;
