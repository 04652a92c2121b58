use ntbox_host::gate::NoReturn;

use super::*;
use crate::cm::rtl_registry::RtlCreateRegistryKey;
use crate::test_support::{CALLER, Counted, call};
use crate::{ex, mm};

/// Queries one value directly into `to`.
fn direct(path: &str, name: &str, flags: u32, default_type: u32, to: u64) -> u32 {
    let name = wide(name);
    query(
        path,
        vec![Entry {
            flags: DIRECT | flags,
            name: address(name.as_slice()),
            context: to,
            default_type,
            ..Entry::default()
        }],
    )
}

#[test]
fn direct_small_value_is_stored() {
    seed("query-direct", &[]);
    let mut number = 0_u32;
    assert_eq!(
        direct(
            "query-direct",
            "Start",
            TYPECHECK,
            DWORD << 24,
            address_mut(&mut number)
        ),
        0
    );
    assert_eq!(number, 3);
    let wrong = direct(
        "query-direct",
        "Start",
        TYPECHECK,
        SZ << 24,
        address_mut(&mut number),
    );
    assert_eq!(wrong, nt_status::STATUS_OBJECT_TYPE_MISMATCH);
    // What is not there leaves the memory alone.
    assert_eq!(
        direct(
            "query-direct",
            "None",
            TYPECHECK,
            DWORD << 24,
            address_mut(&mut number)
        ),
        0
    );
    assert_eq!(number, 3);
}

#[test]
fn direct_default_is_stored() {
    seed("query-direct-default", &[]);
    let name = wide("None");
    let (default, mut number) = (0x55_u32, 0_u32);
    let entry = Entry {
        flags: DIRECT | TYPECHECK,
        name: address(name.as_slice()),
        context: address_mut(&mut number),
        default_type: DWORD << 24 | DWORD,
        default_data: address(&default),
        default_length: 4,
        ..Entry::default()
    };
    assert_eq!(query("query-direct-default", vec![entry]), 0);
    assert_eq!(number, 0x55);
}

#[test]
fn direct_entry_with_routine_or_without_name_is_refused() {
    seed("query-direct-wrong", &[]);
    let name = wide("Start");
    let entry = |flags, routine, name| Entry {
        routine,
        flags: DIRECT | flags,
        name,
        ..Entry::default()
    };
    for (what, entry) in [
        ("routine", entry(0, routine_at(), address(name.as_slice()))),
        ("no name", entry(0, 0, 0)),
        ("subkey", entry(SUBKEY, 0, address(name.as_slice()))),
    ] {
        assert_eq!(
            query("query-direct-wrong", vec![entry]),
            nt_status::STATUS_INVALID_PARAMETER,
            "{what}"
        );
    }
}

#[test]
fn direct_string_is_stored_in_given_buffer() {
    seed(
        "query-direct-string",
        &[("S", RegValue::Sz("text".to_owned()))],
    );
    let mut buffer = [0xffff_u16; 5];
    let mut string = Counted::unicode(&mut buffer, 0);
    let to = address_mut(&mut string);
    assert_eq!(
        direct(
            "query-direct-string\\Parameters",
            "S",
            TYPECHECK | NOEXPAND,
            SZ << 24,
            to
        ),
        0
    );
    assert_eq!((string.length, string.text().as_str()), (8, "text"));
    assert_eq!(buffer[4], 0, "the NUL is stored");
    let mut small = [0_u16; 4];
    let mut string = Counted::unicode(&mut small, 0);
    let to = address_mut(&mut string);
    let refused = direct(
        "query-direct-string\\Parameters",
        "S",
        TYPECHECK,
        SZ << 24,
        to,
    );
    assert_eq!(refused, nt_status::STATUS_BUFFER_TOO_SMALL);
    assert_eq!(string.length, 0);
}

#[test]
fn direct_string_without_buffer_allocates_pool() {
    seed(
        "query-direct-pool",
        &[("S", RegValue::Sz("text".to_owned()))],
    );
    let mut string = Counted::empty();
    let to = address_mut(&mut string);
    assert_eq!(
        direct(
            "query-direct-pool\\Parameters",
            "S",
            TYPECHECK,
            SZ << 24,
            to
        ),
        0
    );
    assert_eq!(
        (string.length, string.maximum_length, string.text().as_str()),
        (8, 10, "text")
    );
    let block = mm::with(|memory| memory.pools.block(string.buffer).copied()).expect("it is pool");
    assert_eq!((block.size, block.caller), (10, CALLER));
    assert!(call(ex::pool::ExFreePool, &[string.buffer]).is_ok());
}

#[test]
fn direct_multi_string_is_stored() {
    seed(
        "query-direct-multi",
        &[(
            "L",
            RegValue::MultiSz(vec!["a".to_owned(), "bc".to_owned()]),
        )],
    );
    let (mut first, mut second) = ([0_u16; 8], [0_u16; 8]);
    let mut strings = [
        Counted::unicode(&mut first, 0),
        Counted::unicode(&mut second, 0),
    ];
    let to = address_mut(&mut strings);
    assert_eq!(
        direct(
            "query-direct-multi\\Parameters",
            "L",
            TYPECHECK,
            MULTI_SZ << 24,
            to
        ),
        0
    );
    assert_eq!([strings[0].text(), strings[1].text()], ["a", "bc"]);
    let mut whole = [0_u16; 8];
    let mut string = Counted::unicode(&mut whole, 0);
    let to = address_mut(&mut string);
    assert_eq!(
        direct(
            "query-direct-multi\\Parameters",
            "L",
            TYPECHECK | NOEXPAND,
            MULTI_SZ << 24,
            to
        ),
        0
    );
    assert_eq!(string.text(), "a\0bc\0");
}

#[test]
fn direct_large_value_needs_sized_buffer() {
    seed(
        "query-direct-sized",
        &[("Q", RegValue::Qword(0x1122_3344_5566_7788))],
    );
    let path = "query-direct-sized\\Parameters";
    let expected = QWORD << 24;
    let run = |buffer: &mut [u32; 4]| direct(path, "Q", TYPECHECK, expected, address_mut(buffer));
    let size = |size: i32| size.cast_unsigned();
    let mut buffer = [size(-8), 0, 0, 0];
    assert_eq!(run(&mut buffer), 0);
    assert_eq!(buffer, [0x5566_7788, 0x1122_3344, 0, 0], "the data alone");
    let mut buffer = [16, 0, 0, 0];
    assert_eq!(run(&mut buffer), 0);
    assert_eq!(
        buffer,
        [8, QWORD, 0x5566_7788, 0x1122_3344],
        "length, type, data"
    );
    for small in [size(-7), 15, 0] {
        let mut buffer = [small, 1, 2, 3];
        assert_eq!(run(&mut buffer), nt_status::STATUS_BUFFER_TOO_SMALL);
        assert_eq!(buffer, [small, 1, 2, 3]);
    }
}

#[test]
fn direct_query_of_untrusted_hive_without_typecheck_is_reported() {
    let path = wide("query-untrusted");
    let made = [USER, address(path.as_slice())];
    assert_eq!(status(RtlCreateRegistryKey, &made), 0);
    let name = wide("v");
    let mut number = 0_u32;
    let context = address_mut(&mut number);
    let table = |flags| {
        [
            Entry {
                flags,
                name: address(name.as_slice()),
                context,
                ..Entry::default()
            },
            Entry::default(),
        ]
    };
    let unchecked = table(DIRECT);
    let arguments = |table: &[Entry; 2]| [USER, address(path.as_slice()), address(table), 0, 0];
    match call(RtlQueryRegistryValues, &arguments(&unchecked)) {
        Err(NoReturn::BugCheck(data)) => assert_eq!((data.code, data.parameters[0]), (0x139, 8)),
        other => panic!("the kernel did not stop: {other:?}"),
    }
    assert_eq!(
        status(
            RtlQueryRegistryValues,
            &arguments(&table(DIRECT | TYPECHECK))
        ),
        0
    );
}
