//! Files on the volume that the embedded kernel has, and sections of them, checked
//! from inside by drivers and from outside by programs.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use suites::checked::all_well;

#[test]
fn files_from_opening_to_deleting() {
    let cases = [
        "Dispositions",
        "Names",
        "Sharing",
        "Transfers",
        "Apcs",
        "Information",
        "Renames",
        "Deletion",
        "Listing",
        "Locks",
        "Volume",
        "Image",
    ];
    all_well("fs_files", &cases);
}
