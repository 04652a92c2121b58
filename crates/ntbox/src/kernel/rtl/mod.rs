//! Run-time library: memory, strings, numbers, bitmaps, time, versions, and the
//! C functions that the kernel exports.

mod ansi;
mod block;
pub mod case;
pub mod codepage;
mod convert;
mod crt_narrow;
mod crt_wide;
mod ctype;
mod memory;
pub mod scan;
pub mod text;
pub mod unicode;
mod version;

use super::call::Export;

/// The exports of this family.
pub const TABLES: &[&[Export]] = &[
    ansi::EXPORTS,
    convert::EXPORTS,
    crt_narrow::EXPORTS,
    crt_wide::EXPORTS,
    ctype::EXPORTS,
    memory::EXPORTS,
    unicode::EXPORTS,
    version::EXPORTS,
];
