//! Run-time library: memory, strings, numbers, bitmaps, time, versions, and the
//! C functions that the kernel exports.

mod address;
mod ansi;
mod bitmap;
mod compression;
pub mod counted;
mod counted_oem;
mod crt_narrow;
mod crt_number;
mod crt_path;
mod crt_scan;
mod crt_wide;
pub mod cstr;
mod ctype;
mod dos_error;
mod generate_name;
pub mod guid;
mod hash_table;
mod heap;
mod image;
mod lznt1;
mod memory;
mod memory_resource;
mod misc;
mod nls_convert;
mod number;
mod prefix_table;
mod random;
mod range_list;
mod run_once;
pub mod scan;
mod secure;
mod short_name;
mod sort;
pub mod string_alloc;
mod table;
mod time;
pub mod unicode;
mod utf8;
mod version;

use ntbox_host::gate::Export;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    address::EXPORTS,
    ansi::EXPORTS,
    bitmap::EXPORTS,
    compression::EXPORTS,
    counted_oem::EXPORTS,
    crt_narrow::EXPORTS,
    crt_number::EXPORTS,
    crt_path::EXPORTS,
    crt_scan::EXPORTS,
    crt_wide::EXPORTS,
    ctype::EXPORTS,
    dos_error::EXPORTS,
    generate_name::EXPORTS,
    guid::EXPORTS,
    hash_table::EXPORTS,
    heap::EXPORTS,
    image::EXPORTS,
    memory::EXPORTS,
    memory_resource::EXPORTS,
    misc::EXPORTS,
    nls_convert::EXPORTS,
    number::EXPORTS,
    prefix_table::EXPORTS,
    random::EXPORTS,
    range_list::EXPORTS,
    run_once::EXPORTS,
    secure::EXPORTS,
    short_name::EXPORTS,
    sort::EXPORTS,
    table::avl_table::EXPORTS,
    table::splay::EXPORTS,
    table::splay_table::EXPORTS,
    time::EXPORTS,
    unicode::EXPORTS,
    version::EXPORTS,
];
