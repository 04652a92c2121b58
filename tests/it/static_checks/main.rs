//! The driver's image, the instructions of `wdm`'s functions, and programs that must not
//! compile: nothing here runs a driver, so these tests run on every host.

mod compile_fail;
mod image;
mod overhead;
