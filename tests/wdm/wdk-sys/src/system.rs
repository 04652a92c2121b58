//! Which system this is, and the routines that belong to nothing larger: memory,
//! time, debug output, handles, a registry without keys.

use core::{
    ffi::{CStr, c_char, c_void},
    ptr::{null_mut, without_provenance_mut},
    slice,
};
use std::sync::{Mutex, PoisonError, atomic::AtomicUsize, atomic::Ordering};

use crate::{
    STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, host,
    host::System,
    lookaside,
    machine::{APC_LEVEL, PASSIVE_LEVEL, address_limits, at_most, raise},
    pool,
    types::{
        HANDLE, LARGE_INTEGER, NTSTATUS, OBJECT_ATTRIBUTES, PVOID, RTL_OSVERSIONINFOW, SIZE_T,
        TIME_FIELDS, ULONG, UNICODE_STRING,
    },
};

/// Ranges that stand for a program's memory.
static USER_MEMORY: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Lines that have been printed.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

static NEXT_HANDLE: AtomicUsize = AtomicUsize::new(0x8000_0004);

pub(crate) fn is_user_memory(start: usize, len: usize) -> bool {
    let ranges = USER_MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    ranges
        .iter()
        .any(|&(first, size)| first <= start && start + len <= first + size)
}

/// Makes a range a program's while `work` runs.
pub(crate) fn with_user_memory<R>(start: usize, len: usize, work: impl FnOnce() -> R) -> R {
    let ranges = || USER_MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    ranges().push((start, len));
    let result = work();
    ranges().retain(|range| *range != (start, len));
    result
}

/// The lines printed so far, which are forgotten.
pub(crate) fn take_lines() -> Vec<String> {
    core::mem::take(&mut *LINES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The text of a name that lives as long as the call that it is passed to.
pub(crate) unsafe fn text(name: *const UNICODE_STRING) -> String {
    let units = usize::from((*name).Length) / 2;
    if units == 0 {
        return String::new();
    }
    String::from_utf16_lossy(slice::from_raw_parts((*name).Buffer, units))
}

pub unsafe extern "C" fn MmGetSystemRoutineAddress(name: *mut UNICODE_STRING) -> PVOID {
    at_most(PASSIVE_LEVEL, "MmGetSystemRoutineAddress");
    let is_new = host::system() == System::Windows11;
    match text(name).as_str() {
        "ExAllocatePool2" if is_new => pool::ExAllocatePool2 as PVOID,
        "ExInitializeLookasideListEx" => lookaside::ExInitializeLookasideListEx as PVOID,
        "ExDeleteLookasideListEx" => lookaside::ExDeleteLookasideListEx as PVOID,
        "ExFlushLookasideListEx" => lookaside::ExFlushLookasideListEx as PVOID,
        "ExAllocateFromLookasideListEx" if is_new => {
            lookaside::ExAllocateFromLookasideListEx as PVOID
        }
        "ExFreeToLookasideListEx" if is_new => lookaside::ExFreeToLookasideListEx as PVOID,
        _ => null_mut(),
    }
}

pub unsafe extern "C" fn RtlGetVersion(version: *mut RTL_OSVERSIONINFOW) -> NTSTATUS {
    let (major, minor, build) = match host::system() {
        System::Windows7 => (6, 1, 7601),
        System::Windows11 => (10, 0, 22631),
    };
    (*version).dwMajorVersion = major;
    (*version).dwMinorVersion = minor;
    (*version).dwBuildNumber = build;
    STATUS_SUCCESS
}

pub unsafe extern "C" fn KeQueryPerformanceCounter(frequency: *mut LARGE_INTEGER) -> LARGE_INTEGER {
    if !frequency.is_null() {
        (*frequency).QuadPart = 10_000_000;
    }
    LARGE_INTEGER {
        QuadPart: crate::machine::system_time(),
    }
}

pub unsafe extern "C" fn RtlTimeToTimeFields(time: *mut LARGE_INTEGER, fields: *mut TIME_FIELDS) {
    let small = |number: i64| i16::try_from(number).expect("a part of a date");
    let millis = (*time).QuadPart / 10_000;
    let (mut days, of_day) = (millis / 86_400_000, millis % 86_400_000);
    let weekday = (days + 1) % 7;
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut year = 1601;
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for len in months {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    fields.write(TIME_FIELDS {
        Year: small(year),
        Month: month,
        Day: small(days + 1),
        Hour: small(of_day / 3_600_000),
        Minute: small(of_day / 60_000 % 60),
        Second: small(of_day / 1000 % 60),
        Milliseconds: small(of_day % 1000),
        Weekday: small(weekday),
    });
}

pub unsafe extern "C" fn RtlCompareMemory(
    first: *const c_void,
    second: *const c_void,
    len: SIZE_T,
) -> SIZE_T {
    let same = |index: &u64| {
        let index = usize::try_from(*index).expect("an address has as many bits");
        *first.cast::<u8>().add(index) == *second.cast::<u8>().add(index)
    };
    (0..len).take_while(same).count() as u64
}

/// With the one argument that `wdm` passes.
pub unsafe extern "C" fn DbgPrintEx(
    _: ULONG,
    _: ULONG,
    format: *const c_char,
    text: *const c_char,
) -> ULONG {
    assert_eq!(CStr::from_ptr(format), c"%s");
    let line = CStr::from_ptr(text).to_string_lossy().into_owned();
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(line);
    0
}

unsafe fn probe(start: usize, len: SIZE_T, alignment: ULONG) {
    at_most(APC_LEVEL, "a probe");
    if len == 0 {
        return;
    }
    let [_, end, _] = address_limits();
    let last = start.checked_add(usize::try_from(len).expect("an address has as many bits"));
    if !start.is_multiple_of(alignment as usize) {
        raise(STATUS_DATATYPE_MISALIGNMENT);
    } else if last.is_none_or(|last| last > end) {
        raise(STATUS_ACCESS_VIOLATION);
    }
}

// Known by its address, which Miri lets differ for what may be inlined.
#[inline(never)]
pub unsafe extern "C" fn ProbeForRead(start: *const c_void, len: SIZE_T, alignment: ULONG) {
    probe(start.addr(), len, alignment);
}

// Known by its address, which Miri lets differ for what may be inlined.
#[inline(never)]
pub unsafe extern "C" fn ProbeForWrite(start: PVOID, len: SIZE_T, alignment: ULONG) {
    probe(start.addr(), len, alignment);
    let len = usize::try_from(len).expect("an address has as many bits");
    if len != 0 && !is_user_memory(start.addr(), len) {
        raise(STATUS_ACCESS_VIOLATION);
    }
}

pub unsafe extern "C" fn ObOpenObjectByPointer(
    _: PVOID,
    _: ULONG,
    _: PVOID,
    _: ULONG,
    _: PVOID,
    _: i8,
    handle: *mut HANDLE,
) -> NTSTATUS {
    at_most(PASSIVE_LEVEL, "ObOpenObjectByPointer");
    if host::fails() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let number = NEXT_HANDLE.fetch_add(4, Ordering::Relaxed);
    host::registered(number);
    handle.write(without_provenance_mut(number));
    STATUS_SUCCESS
}

pub unsafe extern "C" fn ZwSetSecurityObject(_: HANDLE, _: ULONG, _: PVOID) -> NTSTATUS {
    at_most(PASSIVE_LEVEL, "ZwSetSecurityObject");
    if host::fails() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    STATUS_SUCCESS
}

pub unsafe extern "C" fn ZwClose(handle: HANDLE) -> NTSTATUS {
    at_most(PASSIVE_LEVEL, "ZwClose");
    host::unregistered(handle.addr());
    STATUS_SUCCESS
}

pub unsafe extern "C" fn ZwOpenKey(
    _: *mut HANDLE,
    _: ULONG,
    _: *mut OBJECT_ATTRIBUTES,
) -> NTSTATUS {
    at_most(PASSIVE_LEVEL, "ZwOpenKey");
    STATUS_OBJECT_NAME_NOT_FOUND
}

pub unsafe extern "C" fn ZwQueryValueKey(
    _: HANDLE,
    _: *mut UNICODE_STRING,
    _: u32,
    _: PVOID,
    _: ULONG,
    _: *mut ULONG,
) -> NTSTATUS {
    panic!("there is no key to ask");
}
