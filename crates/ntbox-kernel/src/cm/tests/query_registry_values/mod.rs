mod direct_flag;

use std::cell::{Cell, RefCell};

use ntbox_api::RegValue;
use ntbox_host::driver_mem;

use super::helper::*;
use crate::cm::query_registry_values::RtlQueryRegistryValues;
use crate::test_support::{address, address_mut, broken_rules, status, wide};

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

/// `RTL_QUERY_REGISTRY_TABLE`.
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

/// A call of the routine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RoutineCall {
    name: Option<String>,
    kind: u32,
    data: Vec<u8>,
    context: u64,
    entry_context: u64,
}

thread_local! {
    static SEEN: RefCell<Vec<RoutineCall>> = const { RefCell::new(Vec::new()) };
    static ANSWER: Cell<u32> = const { Cell::new(0) };
}

/// The driver's routine.
extern "win64" fn routine(
    name: u64,
    kind: u32,
    data: u64,
    length: u32,
    context: u64,
    entry_context: u64,
) -> u32 {
    let name = (name != 0).then(|| {
        String::from_utf16(&driver_mem::read_wide_string(name, 100).expect("a name"))
            .expect("UTF-16")
    });
    let mut bytes = vec![0; length as usize];
    driver_mem::read_bytes(data, &mut bytes).expect("data");
    SEEN.with_borrow_mut(|seen| {
        seen.push(RoutineCall {
            name,
            kind,
            data: bytes,
            context,
            entry_context,
        });
    });
    ANSWER.get()
}

fn routine_at() -> u64 {
    routine as *const () as u64
}

fn seen() -> Vec<RoutineCall> {
    SEEN.take()
}

/// Queries below the services key, with 7 as the context.
fn query(path: &str, mut table: Vec<Entry>) -> u32 {
    let path = wide(path);
    table.push(Entry::default());
    status(
        RtlQueryRegistryValues,
        &[
            SERVICES,
            address(path.as_slice()),
            address(table.as_slice()),
            7,
            0,
        ],
    )
}

fn one(name: &str, kind: u32, data: &[u8], entry_context: u64) -> RoutineCall {
    RoutineCall {
        name: Some(name.to_owned()),
        kind,
        data: data.to_vec(),
        context: 7,
        entry_context,
    }
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
    open(&Object::new(&format!(
        "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\{path}"
    )))
    .expect("it is there")
}

#[test]
fn query_named_value_calls_routine() {
    seed("query-one", &[]);
    let name = wide("start");
    let entry = || Entry {
        routine: routine_at(),
        name: address(name.as_slice()),
        context: 9,
        ..Entry::default()
    };
    assert_eq!(query("query-one", vec![entry()]), 0);
    assert_eq!(seen(), [one("Start", DWORD, &[3, 0, 0, 0], 9)]);
    assert_eq!(
        query("query-none", vec![entry()]),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    assert!(seen().is_empty());
}

#[test]
fn query_table_ends_at_empty_entry() {
    seed("query-end", &[]);
    let name = wide("Start");
    let ignored = Entry {
        name: address(name.as_slice()),
        ..Entry::default()
    };
    let unreached = Entry {
        routine: routine_at(),
        name: address(name.as_slice()),
        ..Entry::default()
    };
    assert_eq!(query("query-end", vec![ignored, unreached]), 0);
    assert!(seen().is_empty());
}

#[test]
fn query_missing_value_uses_default() {
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
    let expected = [
        one("None", SZ, &sz("text"), 0),
        one("None", MULTI_SZ, &list, 0),
        one("None", DWORD, &[5, 0, 0, 0], 0),
    ];
    assert_eq!(seen(), expected);
    let required = query(&path, vec![entry(REQUIRED, NONE, 0, 0)]);
    assert_eq!(required, nt_status::STATUS_OBJECT_NAME_NOT_FOUND);
    assert!(seen().is_empty());
}

#[test]
fn query_value_without_type_or_data_is_missing() {
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
        assert_eq!(
            query(&path, vec![entry]),
            nt_status::STATUS_OBJECT_NAME_NOT_FOUND
        );
    }
    close(key);
}

#[test]
fn query_without_name_calls_routine_per_value() {
    let path = empty("query-all");
    let key = key_at(&path);
    let all = |flags| Entry {
        routine: routine_at(),
        flags,
        ..Entry::default()
    };
    assert_eq!(query(&path, vec![all(0)]), 0);
    assert_eq!(
        query(&path, vec![all(REQUIRED)]),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    assert_eq!(set(key, "a", u64::from(DWORD), &[1, 0, 0, 0]), 0);
    assert_eq!(set(key, "b", u64::from(BINARY), &[2]), 0);
    assert_eq!(query(&path, vec![all(REQUIRED)]), 0);
    assert_eq!(
        seen(),
        [one("a", DWORD, &[1, 0, 0, 0], 0), one("b", BINARY, &[2], 0)]
    );
    assert_eq!(query(&path, vec![all(NOVALUE)]), 0);
    let called = RoutineCall {
        name: None,
        kind: NONE,
        data: Vec::new(),
        context: 7,
        entry_context: 0,
    };
    assert_eq!(seen(), [called]);
    close(key);
}

#[test]
fn query_subkey_and_topkey_flags_change_key() {
    let top = service("query-subkey", &[("P", RegValue::Dword(1))]);
    assert_eq!(set(top, "P", u64::from(DWORD), &[2, 0, 0, 0]), 0);
    let (subkey, value, none) = (wide("Parameters"), wide("P"), wide("None"));
    let turn = |name: &[u16]| Entry {
        flags: SUBKEY,
        name: address(name),
        ..Entry::default()
    };
    let ask = |flags| Entry {
        routine: routine_at(),
        flags,
        name: address(value.as_slice()),
        ..Entry::default()
    };
    assert_eq!(
        query(
            "query-subkey",
            vec![ask(0), turn(&subkey), ask(0), ask(TOPKEY)]
        ),
        0
    );
    let numbers: Vec<u8> = seen().iter().map(|seen| seen.data[0]).collect();
    assert_eq!(numbers, [2, 1, 2]);
    // With a routine, an entry is about every value of the subkey as well.
    let with_routine = Entry {
        routine: routine_at(),
        ..turn(&subkey)
    };
    assert_eq!(query("query-subkey", vec![with_routine]), 0);
    assert_eq!(seen(), [one("P", DWORD, &[1, 0, 0, 0], 0)]);
    let missing = query("query-subkey", vec![turn(&none), ask(0)]);
    assert_eq!(missing, nt_status::STATUS_OBJECT_NAME_NOT_FOUND);
    let unnamed = query(
        "query-subkey",
        vec![Entry {
            flags: SUBKEY,
            ..Entry::default()
        }],
    );
    assert_eq!(unnamed, nt_status::STATUS_INVALID_PARAMETER);
    close(top);
}

#[test]
fn query_multi_string_is_split_unless_noexpand() {
    let list = RegValue::MultiSz(vec!["one".to_owned(), "two".to_owned()]);
    seed("query-multi", &[("List", list.clone())]);
    let name = wide("List");
    let entry = |flags| Entry {
        routine: routine_at(),
        flags,
        name: address(name.as_slice()),
        ..Entry::default()
    };
    assert_eq!(query("query-multi\\Parameters", vec![entry(0)]), 0);
    assert_eq!(
        seen(),
        [
            one("List", SZ, &sz("one"), 0),
            one("List", SZ, &sz("two"), 0)
        ]
    );
    assert_eq!(query("query-multi\\Parameters", vec![entry(NOEXPAND)]), 0);
    assert_eq!(seen(), [one("List", MULTI_SZ, &list.data(), 0)]);
}

#[test]
fn query_expand_string_uses_given_environment() {
    let value = RegValue::ExpandSz("%Name%-%none%-100%".to_owned());
    seed("query-expand", &[("Text", value.clone())]);
    let path = wide("query-expand\\Parameters");
    let name = wide("Text");
    let environment: Vec<u16> = "A=b\0NAME=value\0\0".encode_utf16().collect();
    let run = |flags, environment: u64| {
        let entry = Entry {
            routine: routine_at(),
            flags,
            name: address(name.as_slice()),
            ..Entry::default()
        };
        let table = [entry, Entry::default()];
        let arguments = [
            SERVICES,
            address(path.as_slice()),
            address(&table),
            7,
            environment,
        ];
        assert_eq!(status(RtlQueryRegistryValues, &arguments), 0);
        seen()
    };
    assert_eq!(
        run(0, address(environment.as_slice())),
        [one("Text", SZ, &sz("value-%none%-100%"), 0)]
    );
    assert!(broken_rules().is_empty());
    assert_eq!(run(NOEXPAND, 0), [one("Text", EXPAND_SZ, &value.data(), 0)]);
    assert!(broken_rules().is_empty());
    assert_eq!(run(0, 0), [one("Text", SZ, &sz("%Name%-%none%-100%"), 0)]);
    assert_eq!(broken_rules(), ["query-registry-expand"]);
}

#[test]
fn query_routine_failure_stops_query() {
    seed("query-stop", &[]);
    let name = wide("Type");
    let table = || {
        let entry = || Entry {
            routine: routine_at(),
            name: address(name.as_slice()),
            ..Entry::default()
        };
        vec![entry(), entry()]
    };
    for (answer, result, calls) in [
        (0, 0, 2),
        (
            nt_status::STATUS_ACCESS_DENIED,
            nt_status::STATUS_ACCESS_DENIED,
            1,
        ),
        (nt_status::STATUS_BUFFER_TOO_SMALL, 0, 2),
    ] {
        ANSWER.set(answer);
        assert_eq!(
            (query("query-stop", table()), seen().len()),
            (result, calls),
            "{answer:#x}"
        );
    }
    ANSWER.set(0);
}

#[test]
fn query_delete_flag_deletes_value() {
    let path = empty("query-delete");
    let key = key_at(&path);
    for name in ["a", "b", "c"] {
        assert_eq!(set(key, name, u64::from(BINARY), &[1]), 0);
    }
    let name = wide("b");
    let named = Entry {
        routine: routine_at(),
        flags: DELETE,
        name: address(name.as_slice()),
        ..Entry::default()
    };
    assert_eq!(query(&path, vec![named]), 0);
    assert_eq!(get(key, "b"), Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND));
    let all = || Entry {
        routine: routine_at(),
        flags: DELETE | REQUIRED,
        ..Entry::default()
    };
    assert_eq!(query(&path, vec![all()]), 0);
    let order: Vec<_> = seen().into_iter().filter_map(|seen| seen.name).collect();
    assert_eq!(order, ["b", "a", "c"]);
    assert_eq!(
        query(&path, vec![all()]),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    close(key);
}

#[test]
fn query_by_handle() {
    let key = service("query-handle", &[]);
    let name = wide("Start");
    let table = [
        Entry {
            routine: routine_at(),
            name: address(name.as_slice()),
            ..Entry::default()
        },
        Entry::default(),
    ];
    assert_eq!(
        status(
            RtlQueryRegistryValues,
            &[HANDLE, key, address(&table), 7, 0]
        ),
        0
    );
    assert_eq!(seen(), [one("Start", DWORD, &[3, 0, 0, 0], 0)]);
    assert_eq!(
        get(key, "Start").map(|(kind, _)| kind),
        Ok(DWORD),
        "the handle stays open"
    );
    close(key);
    let closed = [HANDLE, key, address(&table), 7, 0];
    assert_eq!(
        status(RtlQueryRegistryValues, &closed),
        nt_status::STATUS_INVALID_HANDLE
    );
}
