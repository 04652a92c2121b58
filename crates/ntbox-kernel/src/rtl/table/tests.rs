//! Both kinds of tables against an ordered map, with callbacks such as drivers
//! have.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use ntbox_host::driver_mem;
use ntbox_host::gate::{Call, ExportResult};

use super::avl_table::*;
use super::splay::{
    RtlDelete, RtlDeleteNoSplay, RtlRealPredecessor, RtlRealSuccessor, RtlSplay,
    RtlSubtreePredecessor, RtlSubtreeSuccessor,
};
use super::splay_table::*;
use super::*;
use crate::test_support::{address, address_mut, value};

type Handler = fn(&mut Call<'_>) -> ExportResult;

/// Set to make allocations fail.
static NO_MEMORY: AtomicU32 = AtomicU32::new(0);

/// Key and value of an element.
type Element = [u32; 2];

extern "win64" fn compare(_: u64, first: u64, second: u64) -> u32 {
    let (first, second) = (driver_mem::read_u32(first), driver_mem::read_u32(second));
    match first.expect("ours").cmp(&second.expect("ours")) {
        std::cmp::Ordering::Less => LESS,
        std::cmp::Ordering::Greater => GREATER,
        std::cmp::Ordering::Equal => 2,
    }
}

/// Allocates with the size in front; the memory is full of ones.
extern "win64" fn allocate(_: u64, size: u32) -> u64 {
    if NO_MEMORY.load(Ordering::Relaxed) != 0 {
        return 0;
    }
    let mut block = vec![u64::MAX; 1 + (size as usize).div_ceil(8)];
    block[0] = block.len() as u64;
    Box::leak(block.into_boxed_slice()).as_mut_ptr() as u64 + 8
}

extern "win64" fn free(_: u64, block: u64) {
    let words = driver_mem::read_u64(block - 8).expect("ours");
    driver_mem::fill(block, 0xdd, (words - 1) * 8).expect("ours");
}

/// The functions of a kind of table.
struct Kind {
    initialize: Handler,
    insert: Handler,
    delete: Handler,
    lookup: Handler,
    enumerate: Handler,
    walk: Handler,
    get: Handler,
    count: Handler,
    is_empty: Handler,
}

const KINDS: [Kind; 2] = [
    Kind {
        initialize: RtlInitializeGenericTable,
        insert: RtlInsertElementGenericTable,
        delete: RtlDeleteElementGenericTable,
        lookup: RtlLookupElementGenericTable,
        enumerate: RtlEnumerateGenericTable,
        walk: RtlEnumerateGenericTableWithoutSplaying,
        get: RtlGetElementGenericTable,
        count: RtlNumberGenericTableElements,
        is_empty: RtlIsGenericTableEmpty,
    },
    Kind {
        initialize: RtlInitializeGenericTableAvl,
        insert: RtlInsertElementGenericTableAvl,
        delete: RtlDeleteElementGenericTableAvl,
        lookup: RtlLookupElementGenericTableAvl,
        enumerate: RtlEnumerateGenericTableAvl,
        walk: RtlEnumerateGenericTableWithoutSplayingAvl,
        get: RtlGetElementGenericTableAvl,
        count: RtlNumberGenericTableElementsAvl,
        is_empty: RtlIsGenericTableEmptyAvl,
    },
];

fn table(kind: &Kind) -> Vec<u64> {
    let mut memory = vec![u64::MAX; 13];
    let routines = [
        compare as *const () as u64,
        allocate as *const () as u64,
        free as *const () as u64,
    ];
    let arguments = [
        address_mut(memory.as_mut_slice()),
        routines[0],
        routines[1],
        routines[2],
        0x77,
    ];
    value(kind.initialize, &arguments);
    memory
}

fn read(element: u64) -> Option<Element> {
    (element != 0).then(|| {
        let word = |at| driver_mem::read_u32(element + at).expect("an element");
        [word(0), word(4)]
    })
}

fn insert(kind: &Kind, table: u64, element: Element) -> (Option<Element>, u8) {
    let mut new = 7_u8;
    let arguments = [table, address(&element), 8, address_mut(&mut new)];
    let at = value(kind.insert, &arguments);
    (read(at), new)
}

fn all(kind: &Kind, table: u64) -> Vec<Element> {
    let first = read(value(kind.enumerate, &[table, 1]));
    let rest = std::iter::from_fn(|| read(value(kind.enumerate, &[table, 0])));
    first.into_iter().chain(rest).collect()
}

/// Height of an AVL tree whose balances and parents are right.
fn height(node: Option<Node>, parent: Node) -> i32 {
    let Some(node) = node else { return 0 };
    assert_eq!(node.parent(), Ok(parent));
    let left = height(node.child(ChildSide::Left).expect("ours"), node);
    let right = height(node.child(ChildSide::Right).expect("ours"), node);
    let balance = driver_mem::read_u8(node.0 + 24)
        .expect("ours")
        .cast_signed();
    assert_eq!(right - left, i32::from(balance));
    assert!((-1..=1).contains(&balance));
    left.max(right) + 1
}

#[test]
fn generic_table_matches_ordered_map() {
    for (number, kind) in KINDS.iter().enumerate() {
        let mut memory = table(kind);
        let at = address_mut(memory.as_mut_slice());
        let mut model = BTreeMap::new();
        let mut order = Vec::new();
        let mut seed = 1_u32;
        assert_eq!(value(kind.is_empty, &[at]), 1);
        for round in 0..600 {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let key = (seed >> 16) % 97;
            let probe = [key, round];
            if seed & 0x4000 == 0 || round < 60 {
                let (found, new) = insert(kind, at, probe);
                let fresh = !model.contains_key(&key);
                let kept = *model.entry(key).or_insert(round);
                assert_eq!((found, new), (Some([key, kept]), u8::from(fresh)));
                if fresh {
                    order.push(key);
                }
            } else {
                let there = model.remove(&key).is_some();
                order.retain(|old| *old != key);
                let deleted = value(kind.delete, &[at, address(&probe)]);
                assert_eq!(deleted, u64::from(there));
            }
            let expected = model.get(&key).map(|found| [key, *found]);
            assert_eq!(read(value(kind.lookup, &[at, address(&probe)])), expected);
            assert_eq!(value(kind.count, &[at]), model.len() as u64);
            if number == 1 {
                let top = Node(at).child(ChildSide::Right).expect("ours");
                let depth = driver_mem::read_u32(at + 48).expect("ours");
                assert_eq!(height(top, Node(at)), depth.cast_signed());
            }
        }
        let elements: Vec<Element> = model.iter().map(|(key, value)| [*key, *value]).collect();
        assert_eq!(all(kind, at), elements);
        let mut key = 0_u64;
        let walk = std::iter::from_fn(|| read(value(kind.walk, &[at, address_mut(&mut key)])));
        assert_eq!(walk.collect::<Vec<_>>(), elements);
        // By number: of insertion in the one kind, of order in the other.
        for index in [0, 7, 3, 3, 20, 19, 1] {
            let expected = if number == 0 {
                order[index]
            } else {
                elements[index][0]
            };
            let found = read(value(kind.get, &[at, index as u64]));
            assert_eq!(found.map(|[key, _]| key), Some(expected), "number {index}");
        }
        assert_eq!(value(kind.get, &[at, elements.len() as u64]), 0);
        for element in &elements {
            assert_eq!(value(kind.delete, &[at, address(element)]), 1);
        }
        assert_eq!(value(kind.is_empty, &[at]), 1);
        assert_eq!(read(value(kind.enumerate, &[at, 1])), None);
    }
}

#[test]
fn generic_table_insert_without_memory_changes_nothing() {
    for kind in &KINDS {
        let mut memory = table(kind);
        let at = address_mut(memory.as_mut_slice());
        insert(kind, at, [5, 50]);
        NO_MEMORY.store(1, Ordering::Relaxed);
        assert_eq!(insert(kind, at, [6, 60]), (None, 0));
        assert_eq!(insert(kind, at, [5, 51]), (Some([5, 50]), 0));
        NO_MEMORY.store(0, Ordering::Relaxed);
        assert_eq!(all(kind, at), [[5, 50]]);
    }
}

#[test]
fn generic_table_lookup_full_returns_position() {
    let memory = table(&KINDS[1]);
    let at = address(memory.as_slice());
    let (mut node, mut result) = (7_u64, 9_u32);
    let search = |key: u32, node: &mut u64, result: &mut u32| {
        let buffer = [key, 0];
        let arguments = [at, address(&buffer), address_mut(node), address_mut(result)];
        value(RtlLookupElementGenericTableFullAvl, &arguments)
    };
    assert_eq!(search(5, &mut node, &mut result), 0);
    assert_eq!((node, result), (7, 0), "the node is left alone");
    let five: Element = [5, 50];
    let arguments = [at, address(&five), 8, 0, node, result.into()];
    let five = value(RtlInsertElementGenericTableFullAvl, &arguments);
    assert_eq!(read(five), Some([5, 50]));
    assert_eq!(search(5, &mut node, &mut result), five);
    assert_eq!((node, result), (five - 32, 1));
    search(4, &mut node, &mut result);
    assert_eq!((node, result), (five - 32, 2));
    search(6, &mut node, &mut result);
    assert_eq!((node, result), (five - 32, 3));
}

extern "win64" fn even_below_eight(_: u64, element: u64, _: u64) -> u32 {
    match read(element) {
        Some([key, _]) if key >= 8 => nt_status::STATUS_NO_MORE_MATCHES,
        Some([key, _]) if key % 2 == 0 => 0,
        _ => nt_status::STATUS_NO_MATCH,
    }
}

#[test]
fn enumerate_like_directory_resumes_after_deletion() {
    let kind = &KINDS[1];
    let mut memory = table(kind);
    let at = address_mut(memory.as_mut_slice());
    for key in 0..12 {
        insert(kind, at, [key, 0]);
    }
    let (mut key, mut deleted) = (0_u64, 0_u32);
    let next = |matches: u64, from: u32, skip: u64, key: &mut u64, deleted: &mut u32| {
        let (key, deleted) = (address_mut(key), address_mut(deleted));
        let buffer = [from, 0];
        let arguments = [at, matches, 0, skip, key, deleted, address(&buffer)];
        read(value(RtlEnumerateGenericTableLikeADirectory, &arguments)).map(|[key, _]| key)
    };
    let even = even_below_eight as *const () as u64;
    assert_eq!(next(even, 1, 0, &mut key, &mut deleted), Some(2));
    assert_eq!(next(even, 1, 0, &mut key, &mut deleted), Some(2));
    assert_eq!(next(even, 1, 1, &mut key, &mut deleted), Some(4));
    // The element is deleted; the buffer says where it was.
    assert_eq!(value(kind.delete, &[at, address(&[4_u32, 0])]), 1);
    assert_eq!(next(even, 4, 1, &mut key, &mut deleted), Some(6));
    assert_eq!(deleted, 1);
    assert_eq!(
        next(even, 6, 1, &mut key, &mut deleted),
        None,
        "8 ends the search"
    );
    assert_eq!(next(0, 6, 1, &mut key, &mut deleted), Some(9));
}

#[test]
fn splay_links_form_a_tree() {
    // Parent, left, right of nodes 0 to 6; 3 is the root.
    let mut nodes = [[0_u64; 3]; 7];
    let at = |index: usize| move |nodes: &mut [[u64; 3]; 7]| address_mut(&mut nodes[index]);
    for (child, parent, side) in [
        (3, 3, 0),
        (1, 3, 1),
        (5, 3, 2),
        (0, 1, 1),
        (2, 1, 2),
        (4, 5, 1),
        (6, 5, 2),
    ] {
        nodes[child][0] = at(parent)(&mut nodes);
        if side != 0 {
            nodes[parent][side] = at(child)(&mut nodes);
        }
    }
    let node: Vec<u64> = (0..7).map(|n| at(n)(&mut nodes)).collect();
    assert_eq!(value(RtlSubtreePredecessor, &[node[3]]), node[2]);
    assert_eq!(value(RtlSubtreeSuccessor, &[node[3]]), node[4]);
    assert_eq!(value(RtlSubtreeSuccessor, &[node[2]]), 0);
    assert_eq!(value(RtlSplay, &[node[0]]), node[0]);
    let forward = |first: u64| {
        let mut at = first;
        std::iter::from_fn(move || {
            let now = at;
            at = if now == 0 {
                0
            } else {
                value(RtlRealSuccessor, &[now])
            };
            (now != 0).then_some(now)
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(forward(node[0]), node);
    assert_eq!(value(RtlRealPredecessor, &[node[6]]), node[5]);
    assert_eq!(value(RtlRealPredecessor, &[node[0]]), 0);
    let mut root = node[0];
    value(RtlDeleteNoSplay, &[node[0], address_mut(&mut root)]);
    assert_eq!(
        driver_mem::read_u64(root),
        Ok(root),
        "a root is its own parent"
    );
    value(RtlDeleteNoSplay, &[node[3], address_mut(&mut root)]);
    assert_eq!(
        forward(node[1]),
        [node[1], node[2], node[4], node[5], node[6]]
    );
    let mut left = vec![node[1], node[2], node[4], node[5], node[6]];
    for gone in [4, 1, 6, 2] {
        let root = value(RtlDelete, &[node[gone]]);
        assert_eq!(
            driver_mem::read_u64(root),
            Ok(root),
            "a root is its own parent"
        );
        left.retain(|entry| *entry != node[gone]);
        assert_eq!(forward(left[0]), left);
    }
    assert_eq!(value(RtlDelete, &[node[5]]), 0);
}
