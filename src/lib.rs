#![no_std]
//! ntmem.
