//! The run-time library: strings, numbers, bitmaps, tables, time.

use core::{ffi::c_void, ptr};

use wdk_sys::{
    _RTL_GENERIC_COMPARE_RESULTS::GenericEqual,
    _RTL_GENERIC_COMPARE_RESULTS::GenericGreaterThan,
    _RTL_GENERIC_COMPARE_RESULTS::GenericLessThan,
    _RTL_GENERIC_COMPARE_RESULTS::Type as Order,
    ANSI_STRING, GUID, LARGE_INTEGER, OSVERSIONINFOW, PVOID, RTL_AVL_TABLE, RTL_BITMAP,
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
    TIME_FIELDS, UNICODE_STRING,
    ntddk::{
        RtlAnsiStringToUnicodeString, RtlAppendUnicodeStringToString, RtlAppendUnicodeToString,
        RtlAreBitsClear, RtlAreBitsSet, RtlClearAllBits, RtlClearBits, RtlCompareMemory,
        RtlCompareUnicodeString, RtlCopyUnicodeString, RtlDeleteElementGenericTableAvl,
        RtlEnumerateGenericTableAvl, RtlEqualUnicodeString, RtlFindClearBitsAndSet,
        RtlFindLongestRunClear, RtlFindSetBits, RtlFreeUnicodeString, RtlGUIDFromString,
        RtlGetVersion, RtlHashUnicodeString, RtlInitUnicodeString, RtlInitializeBitMap,
        RtlInitializeGenericTableAvl, RtlInsertElementGenericTableAvl, RtlIntegerToUnicodeString,
        RtlLookupElementGenericTableAvl, RtlNumberGenericTableElementsAvl, RtlNumberOfSetBits,
        RtlSetBits, RtlStringFromGUID, RtlTimeFieldsToTime, RtlTimeToTimeFields, RtlUTF8ToUnicodeN,
        RtlUnicodeStringToInteger, RtlUnicodeToUTF8N, RtlUpcaseUnicodeString,
    },
};

use crate::{
    check::{Case, Checks, Outcome, ok},
    kernel::{FALSE, TRUE},
    owned::{Block, Finally},
};

pub const CASES: &[Case] = &[
    (c"Strings", strings),
    (c"Conversions", conversions),
    (c"Numbers", numbers),
    (c"Utf8", utf8),
    (c"Guids", guids),
    (c"Bitmaps", bitmaps),
    (c"Tables", tables),
    (c"Times", times),
    (c"Memory", memory),
    (c"Version", version),
];

/// A string with room for `N` units.
struct Room<const N: usize> {
    units: [u16; N],
    string: UNICODE_STRING,
}

impl<const N: usize> Room<N> {
    const fn new() -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "some dozens")]
        let bytes = (2 * N) as u16;
        Self {
            units: [0; N],
            string: UNICODE_STRING {
                Length: 0,
                MaximumLength: bytes,
                Buffer: ptr::null_mut(),
            },
        }
    }

    /// The string, which is good until this moves.
    fn get(&mut self) -> *mut UNICODE_STRING {
        self.string.Buffer = self.units.as_mut_ptr();
        &raw mut self.string
    }

    fn is(&self, text: &[u16]) -> bool {
        let length = usize::from(self.string.Length) / 2;
        length + 1 == text.len() && self.units[..length] == text[..length]
    }
}

fn strings(checks: &mut Checks) -> Outcome {
    let lower = unicode!("kernel memory");
    let upper = unicode!("KERNEL Memory");
    let other = unicode!("kernel modules");
    let mut room = Room::<8>::new();
    let mut hash = (0, 0);
    // SAFETY: all strings live in this frame.
    unsafe {
        check!(
            checks,
            RtlEqualUnicodeString(&raw const lower, &raw const upper, FALSE) == 0
        );
        check!(
            checks,
            RtlEqualUnicodeString(&raw const lower, &raw const upper, TRUE) != 0
        );
        check!(
            checks,
            RtlCompareUnicodeString(&raw const lower, &raw const upper, TRUE) == 0
        );
        check!(
            checks,
            RtlCompareUnicodeString(&raw const lower, &raw const other, TRUE) < 0
        );
        ok(RtlHashUnicodeString(
            &raw const lower,
            TRUE,
            0,
            &raw mut hash.0,
        ))?;
        ok(RtlHashUnicodeString(
            &raw const upper,
            TRUE,
            0,
            &raw mut hash.1,
        ))?;
        check!(checks, hash.0 == hash.1);
        // A copy takes as much as fits.
        RtlCopyUnicodeString(room.get(), &raw const lower);
        check!(checks, room.is(wide!("kernel m")));
        let full = RtlAppendUnicodeToString(room.get(), wide!("!").as_ptr());
        returns!(checks, full, STATUS_BUFFER_TOO_SMALL);
        check!(checks, room.is(wide!("kernel m")));
        room.string.Length = 6;
        ok(RtlAppendUnicodeStringToString(
            room.get(),
            &unicode!("pool"),
        ))?;
        check!(checks, room.is(wide!("kerpool")));
        let mut text = unicode!("");
        RtlInitUnicodeString(&raw mut text, wide!("12345").as_ptr());
        check!(checks, text.Length == 10 && text.MaximumLength == 12);
    }
    Ok(())
}

fn conversions(checks: &mut Checks) -> Outcome {
    let mut bytes = *b"Driver";
    let ansi = ANSI_STRING {
        Length: 6,
        MaximumLength: 6,
        Buffer: bytes.as_mut_ptr().cast(),
    };
    let mut converted = unicode!("");
    let mut upcased = unicode!("");
    // SAFETY: what is allocated is freed.
    unsafe {
        let source = (&raw const ansi).cast_mut();
        ok(RtlAnsiStringToUnicodeString(
            &raw mut converted,
            source,
            TRUE,
        ))?;
        let string = &raw mut converted;
        let _free = Finally(|| RtlFreeUnicodeString(string));
        check!(checks, (*string).Length == 12);
        check!(
            checks,
            RtlEqualUnicodeString(string, &unicode!("Driver"), 0) != 0
        );
        ok(RtlUpcaseUnicodeString(&raw mut upcased, string, TRUE))?;
        check!(
            checks,
            RtlEqualUnicodeString(&raw const upcased, &unicode!("DRIVER"), 0) != 0
        );
        RtlFreeUnicodeString(&raw mut upcased);
        check!(checks, upcased.Buffer.is_null() && upcased.Length == 0);
        let mut room = Room::<3>::new();
        let short = RtlAnsiStringToUnicodeString(room.get(), source, FALSE);
        returns!(checks, short, STATUS_BUFFER_OVERFLOW);
    }
    Ok(())
}

fn numbers(checks: &mut Checks) -> Outcome {
    let mut room = Room::<12>::new();
    let mut value = 0;
    // SAFETY: all strings live in this frame.
    unsafe {
        ok(RtlIntegerToUnicodeString(0xBEEF, 16, room.get()))?;
        check!(checks, room.is(wide!("BEEF")));
        ok(RtlIntegerToUnicodeString(4_294_967_295, 0, room.get()))?;
        check!(checks, room.is(wide!("4294967295")));
        let base = RtlIntegerToUnicodeString(1, 7, room.get());
        returns!(checks, base, STATUS_INVALID_PARAMETER);
        let mut short = Room::<2>::new();
        let overflow = RtlIntegerToUnicodeString(12345, 10, short.get());
        returns!(checks, overflow, STATUS_BUFFER_OVERFLOW);
        for (text, base, expected) in [
            (unicode!("0x1F"), 0, 0x1F),
            (unicode!("  -12"), 10, (-12_i32).cast_unsigned()),
            (unicode!("0b101"), 0, 5),
            (unicode!("0o17"), 0, 15),
            (unicode!("99 bottles"), 10, 99),
        ] {
            ok(RtlUnicodeStringToInteger(
                &raw const text,
                base,
                &raw mut value,
            ))?;
            check!(checks, value == expected);
        }
        let base = RtlUnicodeStringToInteger(&unicode!("1"), 3, &raw mut value);
        returns!(checks, base, STATUS_INVALID_PARAMETER);
    }
    Ok(())
}

fn utf8(checks: &mut Checks) -> Outcome {
    // One unit, one unit, two units.
    let text = "a\u{e4}\u{1F980}";
    let mut units = [0_u16; 8];
    let mut bytes = [0_u8; 16];
    let mut length = 0;
    #[expect(clippy::cast_possible_truncation, reason = "seven bytes")]
    let size = text.len() as u32;
    // SAFETY: the rooms are as long as the calls are told.
    unsafe {
        let source = text.as_ptr().cast();
        ok(RtlUTF8ToUnicodeN(
            units.as_mut_ptr(),
            16,
            &raw mut length,
            source,
            size,
        ))?;
        check!(
            checks,
            length == 8 && units[..4] == [0x61, 0xE4, 0xD83E, 0xDD80]
        );
        let back = bytes.as_mut_ptr().cast();
        ok(RtlUnicodeToUTF8N(
            back,
            16,
            &raw mut length,
            units.as_ptr(),
            8,
        ))?;
        check!(checks, length == size && bytes[..7] == *text.as_bytes());
        // Without room it says how much it takes.
        ok(RtlUTF8ToUnicodeN(
            ptr::null_mut(),
            0,
            &raw mut length,
            source,
            size,
        ))?;
        check!(checks, length == 8);
        let short = RtlUTF8ToUnicodeN(units.as_mut_ptr(), 2, &raw mut length, source, size);
        returns!(checks, short, STATUS_BUFFER_TOO_SMALL);
    }
    Ok(())
}

fn guids(checks: &mut Checks) -> Outcome {
    let text = unicode!("{6B29FC40-CA47-1067-B31D-00DD010662DA}");
    let broken = unicode!("{6B29FC40-CA47-1067-B31D}");
    let mut guid = GUID::default();
    let mut written = unicode!("");
    // SAFETY: what is allocated is freed.
    unsafe {
        ok(RtlGUIDFromString(
            (&raw const text).cast_mut(),
            &raw mut guid,
        ))?;
        check!(checks, guid.Data1 == 0x6B29_FC40 && guid.Data3 == 0x1067);
        check!(
            checks,
            guid.Data4 == [0xB3, 0x1D, 0, 0xDD, 1, 6, 0x62, 0xDA]
        );
        ok(RtlStringFromGUID(&raw const guid, &raw mut written))?;
        check!(
            checks,
            RtlEqualUnicodeString(&raw const written, &raw const text, 1) != 0
        );
        RtlFreeUnicodeString(&raw mut written);
        let refused = RtlGUIDFromString((&raw const broken).cast_mut(), &raw mut guid);
        returns!(checks, refused, STATUS_INVALID_PARAMETER);
    }
    Ok(())
}

fn bitmaps(checks: &mut Checks) -> Outcome {
    object!(bitmap: RTL_BITMAP);
    let mut words = [0xFFFF_FFFF_u32; 3];
    let mut start = 0;
    // SAFETY: bitmap and words live in this frame; every range lies within 70 bits.
    unsafe {
        RtlInitializeBitMap(bitmap, words.as_mut_ptr(), 70);
        RtlClearAllBits(bitmap);
        check!(checks, RtlNumberOfSetBits(bitmap) == 0);
        RtlSetBits(bitmap, 30, 5);
        check!(checks, RtlNumberOfSetBits(bitmap) == 5);
        check!(checks, RtlAreBitsSet(bitmap, 30, 5) != 0);
        check!(checks, RtlAreBitsSet(bitmap, 29, 5) == 0);
        check!(checks, RtlAreBitsClear(bitmap, 35, 35) != 0);
        check!(checks, RtlFindSetBits(bitmap, 3, 0) == 30);
        check!(checks, RtlFindSetBits(bitmap, 6, 0) == u32::MAX);
        check!(checks, RtlFindClearBitsAndSet(bitmap, 30, 0) == 0);
        check!(checks, RtlNumberOfSetBits(bitmap) == 35);
        RtlClearBits(bitmap, 10, 3);
        check!(
            checks,
            RtlFindLongestRunClear(bitmap, &raw mut start) == 35 && start == 35
        );
    }
    Ok(())
}

/// Elements of the table are numbers.
unsafe extern "C" fn compare(_: *mut RTL_AVL_TABLE, first: PVOID, second: PVOID) -> Order {
    // SAFETY: the table passes elements, or what is looked for.
    let (first, second) = unsafe { (first.cast::<u32>().read(), second.cast::<u32>().read()) };
    match first.cmp(&second) {
        core::cmp::Ordering::Less => GenericLessThan,
        core::cmp::Ordering::Greater => GenericGreaterThan,
        core::cmp::Ordering::Equal => GenericEqual,
    }
}

unsafe extern "C" fn allocate(_: *mut RTL_AVL_TABLE, bytes: u32) -> PVOID {
    match Block::new(wdk_sys::POOL_FLAG_NON_PAGED, bytes as usize) {
        Ok(block) => core::mem::ManuallyDrop::new(block).get(),
        Err(_) => ptr::null_mut(),
    }
}

unsafe extern "C" fn free(_: *mut RTL_AVL_TABLE, block: PVOID) {
    // SAFETY: the table frees what `allocate` gave it.
    unsafe { wdk_sys::ntddk::ExFreePoolWithTag(block, crate::owned::TAG) };
}

fn tables(checks: &mut Checks) -> Outcome {
    object!(table: RTL_AVL_TABLE);
    // SAFETY: the table lives in this frame, and is emptied before it ends.
    unsafe {
        let none = ptr::null_mut::<c_void>();
        RtlInitializeGenericTableAvl(table, Some(compare), Some(allocate), Some(free), none);
        let empty = Finally(|| {
            loop {
                let element = RtlEnumerateGenericTableAvl(table, TRUE);
                if element.is_null() {
                    break;
                }
                RtlDeleteElementGenericTableAvl(table, element);
            }
        });
        let mut new = 0;
        for number in [50_u32, 20, 80, 10, 30, 70, 90, 20] {
            let mut number = number;
            let element = (&raw mut number).cast();
            let placed = RtlInsertElementGenericTableAvl(table, element, 4, &raw mut new);
            if placed.is_null() {
                return Err(wdk_sys::STATUS_INSUFFICIENT_RESOURCES);
            }
            check!(checks, placed.cast::<u32>().read() == number);
        }
        // The second 20 was there.
        check!(checks, new == 0);
        check!(checks, RtlNumberGenericTableElementsAvl(table) == 7);
        let mut sought = 70_u32;
        let found = RtlLookupElementGenericTableAvl(table, (&raw mut sought).cast());
        check!(checks, !found.is_null());
        check!(
            checks,
            RtlDeleteElementGenericTableAvl(table, (&raw mut sought).cast()) != 0
        );
        check!(
            checks,
            RtlDeleteElementGenericTableAvl(table, (&raw mut sought).cast()) == 0
        );
        let mut restart = TRUE;
        for expected in [10_u32, 20, 30, 50, 80, 90] {
            let element = RtlEnumerateGenericTableAvl(table, restart).cast::<u32>();
            check!(checks, !element.is_null() && element.read() == expected);
            restart = FALSE;
        }
        check!(checks, RtlEnumerateGenericTableAvl(table, FALSE).is_null());
        drop(empty);
        check!(checks, RtlNumberGenericTableElementsAvl(table) == 0);
    }
    Ok(())
}

fn times(checks: &mut Checks) -> Outcome {
    // 2000-02-29 12:34:56.789, a Tuesday, in units of 100 ns since 1601.
    let mut time = LARGE_INTEGER {
        QuadPart: 125_963_012_967_890_000,
    };
    let mut fields = TIME_FIELDS::default();
    let mut back = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: all of it lives in this frame.
    unsafe {
        RtlTimeToTimeFields(&raw mut time, &raw mut fields);
        check!(
            checks,
            (fields.Year, fields.Month, fields.Day) == (2000, 2, 29)
        );
        check!(
            checks,
            (fields.Hour, fields.Minute, fields.Second) == (12, 34, 56)
        );
        check!(checks, (fields.Milliseconds, fields.Weekday) == (789, 2));
        check!(
            checks,
            RtlTimeFieldsToTime(&raw mut fields, &raw mut back) != 0
        );
        check!(checks, back.QuadPart == time.QuadPart);
        fields.Day = 30;
        check!(
            checks,
            RtlTimeFieldsToTime(&raw mut fields, &raw mut back) == 0
        );
    }
    Ok(())
}

fn memory(checks: &mut Checks) -> Outcome {
    let (first, mut second) = ([7_u8; 100], [7_u8; 100]);
    second[61] = 8;
    // SAFETY: both are that long.
    let equal = unsafe { RtlCompareMemory(first.as_ptr().cast(), second.as_ptr().cast(), 100) };
    check!(checks, equal == 61);
    Ok(())
}

fn version(checks: &mut Checks) -> Outcome {
    let mut version = OSVERSIONINFOW::default();
    #[expect(clippy::cast_possible_truncation, reason = "276")]
    let size = size_of::<OSVERSIONINFOW>() as u32;
    version.dwOSVersionInfoSize = size;
    // SAFETY: the room lives as long as the call.
    let status = unsafe { RtlGetVersion(&raw mut version) };
    returns!(checks, status, STATUS_SUCCESS);
    check!(
        checks,
        version.dwMajorVersion >= 6 && version.dwPlatformId == 2
    );
    Ok(())
}
