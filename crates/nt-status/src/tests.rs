//! The lists against the constants that are generated from Microsoft's headers.

extern crate alloc;

use alloc::string::ToString;

use windows_sys::Win32::Foundation as status_headers;
use windows_sys::Win32::System::Diagnostics::Debug as bug_check_headers;

use super::*;

macro_rules! same_status {
    ($($name:ident = $value:literal;)*) => {$(
        assert_eq!(status_headers::$name.cast_unsigned(), $name, stringify!($name));
    )*};
}

macro_rules! same_bug_check {
    ($($name:ident = $value:literal;)*) => {$(
        assert_eq!(bug_check_headers::$name, $value, stringify!($name));
    )*};
}

#[test]
fn success_codes_match_windows_sys() {
    codes::success::success_codes!(same_status);
}

#[test]
fn warning_codes_match_windows_sys() {
    codes::warning::warning_codes!(same_status);
}

#[test]
fn error_codes_match_windows_sys() {
    codes::error::error_codes!(same_status);
}

#[test]
fn bug_check_codes_match_windows_sys() {
    codes::bug_check::bug_checks!(same_bug_check);
}

#[test]
fn tables_are_sorted_with_one_severity() {
    for (table, severities) in [(SUCCESS, 0..=1), (WARNING, 2..=2), (ERROR, 3..=3)] {
        assert!(table.is_sorted_by(|a, b| a.0 < b.0));
        assert!(
            table
                .iter()
                .all(|(code, _)| severities.contains(&(code >> 30)))
        );
    }
    assert!(BUG_CHECK.is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn name_finds_each_code() {
    for (code, expected) in SUCCESS.iter().chain(WARNING).chain(ERROR) {
        assert_eq!(name(*code), Some(*expected));
    }
    for (code, expected) in BUG_CHECK {
        assert_eq!(bug_check_name(*code), Some(*expected));
    }
}

#[test]
fn name_of_unknown_code_is_none() {
    assert_eq!(name(0xC0FF_FFFF), None);
    assert_eq!(explain(0xC0FF_FFFF), None);
    assert_eq!(bug_check_name(0xDEAD_0000), None);
    assert_eq!(Named(0xC0FF_FFFF).to_string(), "0xC0FFFFFF");
    assert_eq!(NamedBugCheck(0xDEAD_0000).to_string(), "0xDEAD0000");
}

#[test]
fn display_has_name_and_number() {
    assert_eq!(
        Named(0xC000_009A).to_string(),
        "STATUS_INSUFFICIENT_RESOURCES (0xC000009A)"
    );
    assert_eq!(Named(0).to_string(), "STATUS_SUCCESS (0x00000000)");
    assert_eq!(
        NamedBugCheck(0x50).to_string(),
        "PAGE_FAULT_IN_NONPAGED_AREA (0x50)"
    );
}

#[test]
fn is_success_of_warning_is_false() {
    assert!(is_success(STATUS_SUCCESS));
    assert!(is_success(STATUS_PENDING));
    assert!(is_success(STATUS_OBJECT_NAME_EXISTS));
    assert!(!is_success(STATUS_BUFFER_OVERFLOW));
    assert!(!is_success(STATUS_UNSUCCESSFUL));
}

#[test]
fn explained_codes_have_names() {
    let all = SUCCESS.iter().chain(WARNING).chain(ERROR);
    let explained = all.filter(|(code, _)| explain(*code).is_some()).count();
    assert!(explained >= 90, "only {explained} statuses are explained");
    assert_eq!(
        explain(STATUS_INVALID_PARAMETER_3),
        explain(STATUS_INVALID_PARAMETER_12)
    );
}
