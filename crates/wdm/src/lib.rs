#![no_std]
//! Safe Rust for WDM drivers.
