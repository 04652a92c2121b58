use std::cell::{Cell, RefCell};

use super::helper::*;
use crate::config::RegValue;
use crate::kernel::call::Stop;
use crate::kernel::guest;
use crate::kernel::testing::{CALLER, Counted, address, address_mut, broken_rules, call, status, wide};
use crate::kernel::zw::query_values::RtlQueryRegistryValues;
use crate::kernel::{ex, mm};

const SERVICES: u64 = 1;
const USER: u64 = 5;
const HANDLE: u64 = 0x4000_0000;

const SUBKEY: u32 = 0x1;
const TOPKEY: u32 = 0x2;
const REQUIRED: u32 = 0x4;
const NOVALUE: u32 = 0x8;
const NOEXPAND: u32 = 0x10;
const DIRECT: u32 = 0x20;
const DELETE: u32 = 0x40;
const TYPECHECK: u32 = 0x100;

const NONE: u32 = 0;
const SZ: u32 = 1;
const EXPAND_SZ: u32 = 2;
const BINARY: u32 = 3;
const DWORD: u32 = 4;
const MULTI_SZ: u32 = 7;
const QWORD: u32 = 11;

/// RTL_QUERY_REGISTRY_TABLE.
#[repr(C)]
#[derive(Default)]
struct Entry {
    routine: u64,
    flags: u32,
    name: u64,
    context: u64,
    default_type: u32,
    default_data: u64,
    default_length: u32,
}

/// What the routine was called with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    name: Option<String>,
    kind: u32,
    data: Vec<u8>,
    context: u64,
    entry_context: u64,
}

thread_local! {
    static SEEN: RefCell<Vec<Seen>> = const { RefCell::new(Vec::new()) };
    static ANSWER: Cell<u32> = const { Cell::new(0) };
}

/// The driver's routine.
extern "win64" fn routine(name: u64, kind: u32, data: u64, length: u32, context: u64, entry_context: u64) -> u32 {
    let name = (name != 0)
        .then(|| String::from_utf16(&guest::read_wide_string(name, 100).expect("a name")).expect("UTF-16"));
    let mut bytes = vec![0; length as usize];
    guest::read_bytes(data, &mut bytes).expect("data");
    SEEN.with_borrow_mut(|seen| seen.push(Seen { name, kind, data: bytes, context, entry_context }));
    ANSWER.get()
}

fn routine_at() -> u64 {
    routine as *const () as u64
}

fn seen() -> Vec<Seen> {
    SEEN.take()
}

/// Queries below the services key, with 7 as the context.
fn query(path: &str, mut table: Vec<Entry>) -> u32 {
    let path = wide(path);
    table.push(Entry::default());
    status(RtlQueryRegistryValues, &[SERVICES, address(path.as_slice()), address(table.as_slice()), 7, 0])
}

fn one(name: &str, kind: u32, data: &[u8], entry_context: u64) -> Seen {
    Seen { name: Some(name.to_owned()), kind, data: data.to_vec(), context: 7, entry_context }
}

/// A service key without values.
fn empty(name: &str) -> String {
    close({
        let parent = service(name, &[]);
        let (key, _) = create(&Object::below(parent, "Key"), 0).expect("room for it");
        close(parent);
        key
    });
    format!("{name}\\Key")
}

fn key_at(path: &str) -> u64 {
    open(&Object::new(&format!("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\{path}")))
        .expect("it is there")
}

#[test]
fn a_named_value_is_handed_over() {
    seed("query-one", &[]);
    let name = wide("start");
    let entry =
        || Entry { routine: routine_at(), name: address(name.as_slice()), context: 9, ..Entry::default() };
    assert_eq!(query("query-one", vec![entry()]), 0);
    assert_eq!(seen(), [one("Start", DWORD, &[3, 0, 0, 0], 9)]);
    assert_eq!(query("query-none", vec![entry()]), ntstatus::STATUS_OBJECT_NAME_NOT_FOUND);
    assert!(seen().is_empty());
}

#[test]
fn the_table_ends_where_nothing_is_wanted() {
    seed("query-end", &[]);
    let name = wide("Start");
    let ignored = Entry { name: address(name.as_slice()), ..Entry::default() };
    let unreached = Entry { routine: routine_at(), name: address(name.as_slice()), ..Entry::default() };
    assert_eq!(query("query-end", vec![ignored, unreached]), 0);
    assert!(seen().is_empty());
}

#[test]
fn a_missing_value_has_its_default() {
    let path = empty("query-default");
    let name = wide("None");
    let text = wide("text");
    let list: Vec<u16> = "a\0bc\0\0".encode_utf16().collect();
    let number = 5_u32;
    let entry = |flags, default_type, default_data, default_length| Entry {
        routine: routine_at(),
        flags,
        name: address(name.as_slice()),
        default_type,
        default_data,
        default_length,
        ..Entry::default()
    };
    let table = vec![
        entry(0, NONE, 0, 0),
        entry(0, SZ, address(text.as_slice()), 0),
        entry(NOEXPAND, MULTI_SZ, address(list.as_slice()), 0),
        entry(REQUIRED, DWORD, address(&number), 4),
    ];
    assert_eq!(query(&path, table), 0);
    let list: Vec<u8> = list.into_iter().flat_map(u16::to_le_bytes).collect();
    let expected =
        [one("None", SZ, &sz("text"), 0), one("None", MULTI_SZ, &list, 0), one("None", DWORD, &[5, 0, 0, 0], 0)];
    assert_eq!(seen(), expected);
    let required = query(&path, vec![entry(REQUIRED, NONE, 0, 0)]);
    assert_eq!(required, ntstatus::STATUS_OBJECT_NAME_NOT_FOUND);
    assert!(seen().is_empty());
}

#[test]
fn values_without_a_type_or_data_count_as_missing() {
    let path = empty("query-nothing");
    let key = key_at(&path);
    assert_eq!(set(key, "typeless", u64::from(NONE), &[1, 2]), 0);
    assert_eq!(set(key, "empty", u64::from(BINARY), &[]), 0);
    let number = 6_u32;
    for (name, expected) in [("typeless", 1), ("empty", 0)] {
        let name = wide(name);
        let entry = Entry {
            routine: routine_at(),
            name: address(name.as_slice()),
            default_type: DWORD,
            default_data: address(&number),
            default_length: 4,
            ..Entry::default()
        };
        assert_eq!(query(&path, vec![entry]), 0);
        assert_eq!(seen().len(), expected);
        let entry = Entry {
            routine: routine_at(),
            flags: REQUIRED,
            name: address(name.as_slice()),
            ..Entry::default()
        };
        assert_eq!(query(&path, vec![entry]), ntstatus::STATUS_OBJECT_NAME_NOT_FOUND);
    }
    close(key);
}

#[test]
fn without_a_name_every_value_is_handed_over() {
    let path = empty("query-all");
    let key = key_at(&path);
    let all = |flags| Entry { routine: routine_at(), flags, ..Entry::default() };
    assert_eq!(query(&path, vec![all(0)]), 0);
    assert_eq!(query(&path, vec![all(REQUIRED)]), ntstatus::STATUS_OBJECT_NAME_NOT_FOUND);
    assert_eq!(set(key, "a", u64::from(DWORD), &[1, 0, 0, 0]), 0);
    assert_eq!(set(key, "b", u64::from(BINARY), &[2]), 0);
    assert_eq!(query(&path, vec![all(REQUIRED)]), 0);
    assert_eq!(seen(), [one("a", DWORD, &[1, 0, 0, 0], 0), one("b", BINARY, &[2], 0)]);
    assert_eq!(query(&path, vec![all(NOVALUE)]), 0);
    let called = Seen { name: None, kind: NONE, data: Vec::new(), context: 7, entry_context: 0 };
    assert_eq!(seen(), [called]);
    close(key);
}

#[test]
fn entries_can_turn_to_subkeys_and_back() {
    let top = service("query-subkey", &[("P", RegValue::Dword(1))]);
    assert_eq!(set(top, "P", u64::from(DWORD), &[2, 0, 0, 0]), 0);
    let (subkey, value, none) = (wide("Parameters"), wide("P"), wide("None"));
    let turn = |name: &[u16]| Entry { flags: SUBKEY, name: address(name), ..Entry::default() };
    let ask = |flags| Entry { routine: routine_at(), flags, name: address(value.as_slice()), ..Entry::default() };
    assert_eq!(query("query-subkey", vec![ask(0), turn(&subkey), ask(0), ask(TOPKEY)]), 0);
    let numbers: Vec<u8> = seen().iter().map(|seen| seen.data[0]).collect();
    assert_eq!(numbers, [2, 1, 2]);
    // With a routine, an entry is about every value of the subkey as well.
    let with_routine = Entry { routine: routine_at(), ..turn(&subkey) };
    assert_eq!(query("query-subkey", vec![with_routine]), 0);
    assert_eq!(seen(), [one("P", DWORD, &[1, 0, 0, 0], 0)]);
    let missing = query("query-subkey", vec![turn(&none), ask(0)]);
    assert_eq!(missing, ntstatus::STATUS_OBJECT_NAME_NOT_FOUND);
    let unnamed = query("query-subkey", vec![Entry { flags: SUBKEY, ..Entry::default() }]);
    assert_eq!(unnamed, ntstatus::STATUS_INVALID_PARAMETER);
    close(top);
}

#[test]
fn lists_come_string_by_string_unless_left_alone() {
    let list = RegValue::MultiSz(vec!["one".to_owned(), "two".to_owned()]);
    seed("query-multi", &[("List", list.clone())]);
    let name = wide("List");
    let entry = |flags| Entry { routine: routine_at(), flags, name: address(name.as_slice()), ..Entry::default() };
    assert_eq!(query("query-multi\\Parameters", vec![entry(0)]), 0);
    assert_eq!(seen(), [one("List", SZ, &sz("one"), 0), one("List", SZ, &sz("two"), 0)]);
    assert_eq!(query("query-multi\\Parameters", vec![entry(NOEXPAND)]), 0);
    assert_eq!(seen(), [one("List", MULTI_SZ, &list.data(), 0)]);
}

#[test]
fn variables_are_expanded_from_the_environment_given() {
    let value = RegValue::ExpandSz("%Name%-%none%-100%".to_owned());
    seed("query-expand", &[("Text", value.clone())]);
    let path = wide("query-expand\\Parameters");
    let name = wide("Text");
    let environment: Vec<u16> = "A=b\0NAME=value\0\0".encode_utf16().collect();
    let run = |flags, environment: u64| {
        let entry = Entry { routine: routine_at(), flags, name: address(name.as_slice()), ..Entry::default() };
        let table = [entry, Entry::default()];
        let arguments = [SERVICES, address(path.as_slice()), address(&table), 7, environment];
        assert_eq!(status(RtlQueryRegistryValues, &arguments), 0);
        seen()
    };
    assert_eq!(run(0, address(environment.as_slice())), [one("Text", SZ, &sz("value-%none%-100%"), 0)]);
    assert!(broken_rules().is_empty());
    assert_eq!(run(NOEXPAND, 0), [one("Text", EXPAND_SZ, &value.data(), 0)]);
    assert!(broken_rules().is_empty());
    assert_eq!(run(0, 0), [one("Text", SZ, &sz("%Name%-%none%-100%"), 0)]);
    assert_eq!(broken_rules(), ["registry-expand"]);
}

#[test]
fn the_routine_can_stop_the_query() {
    seed("query-stop", &[]);
    let name = wide("Type");
    let table = || {
        let entry = || Entry { routine: routine_at(), name: address(name.as_slice()), ..Entry::default() };
        vec![entry(), entry()]
    };
    for (answer, result, calls) in [
        (0, 0, 2),
        (ntstatus::STATUS_ACCESS_DENIED, ntstatus::STATUS_ACCESS_DENIED, 1),
        (ntstatus::STATUS_BUFFER_TOO_SMALL, 0, 2),
    ] {
        ANSWER.set(answer);
        assert_eq!((query("query-stop", table()), seen().len()), (result, calls), "{answer:#x}");
    }
    ANSWER.set(0);
}

#[test]
fn values_can_be_deleted_on_the_way() {
    let path = empty("query-delete");
    let key = key_at(&path);
    for name in ["a", "b", "c"] {
        assert_eq!(set(key, name, u64::from(BINARY), &[1]), 0);
    }
    let name = wide("b");
    let named =
        Entry { routine: routine_at(), flags: DELETE, name: address(name.as_slice()), ..Entry::default() };
    assert_eq!(query(&path, vec![named]), 0);
    assert_eq!(get(key, "b"), Err(ntstatus::STATUS_OBJECT_NAME_NOT_FOUND));
    let all = || Entry { routine: routine_at(), flags: DELETE | REQUIRED, ..Entry::default() };
    assert_eq!(query(&path, vec![all()]), 0);
    let names: Vec<_> = seen().into_iter().filter_map(|seen| seen.name).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert_eq!(query(&path, vec![all()]), ntstatus::STATUS_OBJECT_NAME_NOT_FOUND);
    close(key);
}

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
fn small_values_are_stored_as_they_are() {
    seed("query-direct", &[]);
    let mut number = 0_u32;
    assert_eq!(direct("query-direct", "Start", TYPECHECK, DWORD << 24, address_mut(&mut number)), 0);
    assert_eq!(number, 3);
    let wrong = direct("query-direct", "Start", TYPECHECK, SZ << 24, address_mut(&mut number));
    assert_eq!(wrong, ntstatus::STATUS_OBJECT_TYPE_MISMATCH);
    // What is not there leaves the memory alone.
    assert_eq!(direct("query-direct", "None", TYPECHECK, DWORD << 24, address_mut(&mut number)), 0);
    assert_eq!(number, 3);
}

#[test]
fn a_default_is_stored_directly_too() {
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
fn direct_entries_need_a_name_and_no_routine() {
    seed("query-direct-wrong", &[]);
    let name = wide("Start");
    let entry = |flags, routine, name| Entry { routine, flags: DIRECT | flags, name, ..Entry::default() };
    for (what, entry) in [
        ("routine", entry(0, routine_at(), address(name.as_slice()))),
        ("no name", entry(0, 0, 0)),
        ("subkey", entry(SUBKEY, 0, address(name.as_slice()))),
    ] {
        assert_eq!(query("query-direct-wrong", vec![entry]), ntstatus::STATUS_INVALID_PARAMETER, "{what}");
    }
}

#[test]
fn strings_are_stored_in_the_buffer_given() {
    seed("query-direct-string", &[("S", RegValue::Sz("text".to_owned()))]);
    let mut buffer = [0xffff_u16; 5];
    let mut string = Counted::unicode(&mut buffer, 0);
    let to = address_mut(&mut string);
    assert_eq!(direct("query-direct-string\\Parameters", "S", TYPECHECK | NOEXPAND, SZ << 24, to), 0);
    assert_eq!((string.length, string.text().as_str()), (8, "text"));
    assert_eq!(buffer[4], 0, "the NUL is stored");
    let mut small = [0_u16; 4];
    let mut string = Counted::unicode(&mut small, 0);
    let to = address_mut(&mut string);
    let refused = direct("query-direct-string\\Parameters", "S", TYPECHECK, SZ << 24, to);
    assert_eq!(refused, ntstatus::STATUS_BUFFER_TOO_SMALL);
    assert_eq!(string.length, 0);
}

#[test]
fn a_string_without_a_buffer_gets_one_that_the_driver_owns() {
    seed("query-direct-pool", &[("S", RegValue::Sz("text".to_owned()))]);
    let mut string = Counted::empty();
    let to = address_mut(&mut string);
    assert_eq!(direct("query-direct-pool\\Parameters", "S", TYPECHECK, SZ << 24, to), 0);
    assert_eq!((string.length, string.maximum_length, string.text().as_str()), (8, 10, "text"));
    let block = mm::with(|memory| memory.pools.block(string.buffer).copied()).expect("it is pool");
    assert_eq!((block.size, block.caller), (10, CALLER));
    assert!(call(ex::pool::ExFreePool, &[string.buffer]).is_ok());
}

#[test]
fn lists_are_stored_string_by_string() {
    seed("query-direct-multi", &[("L", RegValue::MultiSz(vec!["a".to_owned(), "bc".to_owned()]))]);
    let (mut first, mut second) = ([0_u16; 8], [0_u16; 8]);
    let mut strings = [Counted::unicode(&mut first, 0), Counted::unicode(&mut second, 0)];
    let to = address_mut(&mut strings);
    assert_eq!(direct("query-direct-multi\\Parameters", "L", TYPECHECK, MULTI_SZ << 24, to), 0);
    assert_eq!([strings[0].text(), strings[1].text()], ["a", "bc"]);
    let mut whole = [0_u16; 8];
    let mut string = Counted::unicode(&mut whole, 0);
    let to = address_mut(&mut string);
    assert_eq!(direct("query-direct-multi\\Parameters", "L", TYPECHECK | NOEXPAND, MULTI_SZ << 24, to), 0);
    assert_eq!(string.text(), "a\0bc\0");
}

#[test]
fn larger_values_go_into_a_buffer_that_says_its_size() {
    seed("query-direct-sized", &[("Q", RegValue::Qword(0x1122_3344_5566_7788))]);
    let path = "query-direct-sized\\Parameters";
    let expected = QWORD << 24;
    let run = |buffer: &mut [u32; 4]| direct(path, "Q", TYPECHECK, expected, address_mut(buffer));
    let size = |size: i32| size.cast_unsigned();
    let mut buffer = [size(-8), 0, 0, 0];
    assert_eq!(run(&mut buffer), 0);
    assert_eq!(buffer, [0x5566_7788, 0x1122_3344, 0, 0], "the data alone");
    let mut buffer = [16, 0, 0, 0];
    assert_eq!(run(&mut buffer), 0);
    assert_eq!(buffer, [8, QWORD, 0x5566_7788, 0x1122_3344], "length, type, data");
    for small in [size(-7), 15, 0] {
        let mut buffer = [small, 1, 2, 3];
        assert_eq!(run(&mut buffer), ntstatus::STATUS_BUFFER_TOO_SMALL);
        assert_eq!(buffer, [small, 1, 2, 3]);
    }
}

#[test]
fn what_others_can_write_is_not_read_unchecked() {
    let path = wide("query-untrusted");
    let made = [USER, address(path.as_slice())];
    assert_eq!(status(crate::kernel::zw::rtl_registry::RtlCreateRegistryKey, &made), 0);
    let name = wide("v");
    let mut number = 0_u32;
    let context = address_mut(&mut number);
    let table = |flags| {
        [Entry { flags, name: address(name.as_slice()), context, ..Entry::default() }, Entry::default()]
    };
    let unchecked = table(DIRECT);
    let arguments = |table: &[Entry; 2]| [USER, address(path.as_slice()), address(table), 0, 0];
    match call(RtlQueryRegistryValues, &arguments(&unchecked)) {
        Err(Stop::BugCheck(data)) => assert_eq!((data.code, data.parameters[0]), (0x139, 8)),
        other => panic!("the kernel did not stop: {other:?}"),
    }
    assert_eq!(status(RtlQueryRegistryValues, &arguments(&table(DIRECT | TYPECHECK))), 0);
}

#[test]
fn a_handle_can_stand_for_the_path() {
    let key = service("query-handle", &[]);
    let name = wide("Start");
    let table = [
        Entry { routine: routine_at(), name: address(name.as_slice()), ..Entry::default() },
        Entry::default(),
    ];
    assert_eq!(status(RtlQueryRegistryValues, &[HANDLE, key, address(&table), 7, 0]), 0);
    assert_eq!(seen(), [one("Start", DWORD, &[3, 0, 0, 0], 0)]);
    assert_eq!(get(key, "Start").map(|(kind, _)| kind), Ok(DWORD), "the handle stays open");
    close(key);
    let closed = [HANDLE, key, address(&table), 7, 0];
    assert_eq!(status(RtlQueryRegistryValues, &closed), ntstatus::STATUS_INVALID_HANDLE);
}
