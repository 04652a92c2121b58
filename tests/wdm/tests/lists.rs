//! Lists whose links lie in their entries, and lookaside lists, by one thread.

use std::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::host::System;
use wdm::{
    list::{
        DoubleLinks, InterlockedList, InterlockedStack, List, SList, SListLinks, SingleLinks, Stack,
    },
    lookaside::{
        BlockRequest, LookasideAllocator, LookasideBlock, LookasideList, PagedLookasideList,
        PoolAllocator,
    },
    pool::PoolBox,
};
use wdm_host::{TAG, boxed, in_driver, in_driver_on};

struct Entry {
    number: u32,
    _text: String,
    double: DoubleLinks,
    single: SingleLinks,
    atomic: SListLinks,
}

wdm::linked!(Entry, double: DoubleLinks);
wdm::linked!(Entry, single: SingleLinks);
wdm::linked!(Entry, atomic: SListLinks);

fn entry(number: u32) -> PoolBox<Entry> {
    boxed(Entry {
        number,
        _text: number.to_string(),
        double: DoubleLinks::new(),
        single: SingleLinks::new(),
        atomic: SListLinks::new(),
    })
}

fn numbers(list: &List<Entry>) -> Vec<u32> {
    list.iter().map(|entry| entry.number).collect()
}

#[test]
fn list_iterates_and_changes_at_both_ends() {
    in_driver(|_| {
        let mut list = List::<Entry>::new(TAG).expect("there is memory");
        assert!(list.is_empty() && list.pop_front().is_none());
        for number in 0..6 {
            if number % 2 == 0 {
                list.push_back(entry(number));
            } else {
                list.push_front(entry(number));
            }
        }
        assert_eq!(numbers(&list), [5, 3, 1, 0, 2, 4]);
        let mut both = list.iter();
        assert_eq!(both.next().map(|entry| entry.number), Some(5));
        assert_eq!(both.next_back().map(|entry| entry.number), Some(4));
        assert_eq!(both.count(), 4);
        assert_eq!(list.pop_back().map(|entry| entry.number), Some(4));
        let mut first = list.pop_front().expect("there is one");
        first.number = 77;
        list.push_front(first);
        assert_eq!(numbers(&list), [77, 3, 1, 0, 2]);
    });
}

#[test]
fn cursor_removes_and_inserts() {
    in_driver(|_| {
        let mut list = List::<Entry>::new(TAG).expect("there is memory");
        for number in 0..4 {
            list.push_back(entry(number));
        }
        let mut cursor = list.cursor();
        while let Some(current) = cursor.current() {
            match current.number {
                1 => drop(cursor.take()),
                2 => {
                    cursor.insert_before(entry(9));
                    cursor.move_next();
                }
                _ => cursor.move_next(),
            }
        }
        assert!(cursor.take().is_none());
        cursor.insert_before(entry(10));
        assert_eq!(numbers(&list), [0, 9, 2, 3, 10]);
    });
}

#[test]
fn stack_and_interlocked_lists_own_entries() {
    in_driver(|_| {
        let mut stack = Stack::<Entry>::new();
        for number in 0..4 {
            stack.push(entry(number));
        }
        assert_eq!(stack.pop().map(|entry| entry.number), Some(3));
        assert_eq!(stack.iter().map(|entry| entry.number).sum::<u32>(), 3);

        let locked = InterlockedStack::<Entry>::new(TAG).expect("there is memory");
        locked.push(entry(1));
        locked.push(entry(2));
        assert_eq!(locked.pop().map(|entry| entry.number), Some(2));

        let list = InterlockedList::<Entry>::new(TAG).expect("there is memory");
        assert!(list.push_back(entry(1)));
        assert!(!list.push_front(entry(2)));
        assert_eq!(list.pop_front().map(|entry| entry.number), Some(2));

        let atomic = SList::<Entry>::new(TAG).expect("there is memory");
        for number in 0..3 {
            atomic.push(entry(number));
        }
        assert_eq!(atomic.depth(), 3);
        let mut flushed = atomic.flush();
        assert_eq!(flushed.next().map(|entry| entry.number), Some(2));
        drop(flushed);
        assert!(atomic.pop().is_none());
        atomic.push(entry(5));
    });
}

#[test]
fn lookaside_list_keeps_freed_blocks_up_to_depth() {
    for system in [System::Windows7, System::Windows11] {
        in_driver_on(system, |passive| {
            let list =
                LookasideList::<String>::new(TAG, PoolAllocator, passive).expect("there is memory");
            let texts: Vec<_> = (0..4)
                .map(|number| list.allocate(number.to_string()))
                .collect();
            for (number, text) in texts.iter().enumerate() {
                let text = text.as_ref().unwrap_or_else(|_| panic!("there is memory"));
                assert_eq!(**text, number.to_string());
            }
            drop(texts);
            let counts = list.statistics();
            assert_eq!((counts.total_allocates, counts.total_frees), (4, 4));
            assert_eq!(
                (counts.allocate_misses, counts.free_misses, counts.depth),
                (4, 2, 2)
            );
            assert!(list.allocate(String::from("again")).is_ok());
            list.flush();
            assert_eq!(list.statistics().depth, 0);

            let paged = PagedLookasideList::<String>::new(TAG, PoolAllocator, passive);
            let paged = paged.expect("there is memory");
            let Ok(mut text) = paged.allocate(String::from("paged"), passive) else {
                panic!("there is memory");
            };
            text.push('!');
            assert_eq!(*text, "paged!");
        });
    }
}

/// Gives no more than so many.
struct AtMost(AtomicU32);

impl LookasideAllocator for AtMost {
    fn allocate<'c>(&self, request: BlockRequest<'c>) -> Option<LookasideBlock<'c>> {
        let less = |left: u32| left.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .ok()?;
        request.allocate_from_pool()
    }

    fn free(&self, block: LookasideBlock<'_>) {
        drop(block);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn lookaside_allocator_may_refuse() {
    for system in [System::Windows7, System::Windows11] {
        in_driver_on(system, |passive| {
            let allocator = AtMost(AtomicU32::new(2));
            let list = LookasideList::<[u8; 3], _>::new(TAG, allocator, passive);
            let list = list.expect("there is memory");
            let first = list.allocate([1; 3]);
            let second = list.allocate([2; 3]);
            assert!(first.is_ok_and(|bytes| *bytes == [1; 3]));
            assert!(second.is_ok_and(|bytes| *bytes == [2; 3]));
            let held = [list.allocate([3; 3]), list.allocate([4; 3])];
            assert!(held.iter().all(Result::is_ok));
            let refused = list.allocate([5; 3]);
            assert!(refused.is_err_and(|rejected| rejected.returned == [5; 3]));
        });
    }
}
