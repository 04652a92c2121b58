//! Runs a driver on a host and says whether it did what it promises.

fn main() {}
