//! Database servers that a test starts itself, on free ports of the loopback interface.
