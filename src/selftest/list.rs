//! Lists: doubly and singly linked, plain, with a lock, and without one.

use core::sync::atomic::{AtomicU64, Ordering};

use ntmem_ioctl::ListReply;
use wdm::{
    Result,
    irql::Passive,
    list::{
        DoubleLinks, InterlockedList, InterlockedStack, Linked, List, SList, SListLinks,
        SingleLinks, Stack,
    },
    pool::{PoolBox, PoolUsage},
};

use super::to_u64;
use crate::tags::SELFTEST;

/// How many entries each list gets.
const ENTRIES: u64 = 60;

/// An entry of any list, its links behind other things.
struct Entry<'c> {
    number: u64,
    dropped: &'c AtomicU64,
    double: DoubleLinks,
    single: SingleLinks,
    atomic: SListLinks,
}

wdm::linked!(Entry<'_>, double: DoubleLinks);
wdm::linked!(Entry<'_>, single: SingleLinks);
wdm::linked!(Entry<'_>, atomic: SListLinks);

impl<'c> Entry<'c> {
    fn new(number: u64, dropped: &'c AtomicU64) -> Result<PoolBox<Self>> {
        let entry = Self {
            number,
            dropped,
            double: DoubleLinks::new(),
            single: SingleLinks::new(),
            atomic: SListLinks::new(),
        };
        PoolBox::new(entry, SELFTEST).map_err(|rejected| rejected.error)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

wdm::pageable! { passive:
    /// Puts entries into lists of every kind and takes them out.
    pub fn list(passive: &Passive) -> Result<ListReply> {
        let dropped = AtomicU64::new(0);
        let mut reply = ListReply {
            held_before: PoolUsage::current().outstanding(),
            links_offset: to_u64(<Entry<'_> as Linked<DoubleLinks>>::OFFSET),
            ..ListReply::default()
        };
        double(&mut reply, &dropped)?;
        locked(&mut reply, &dropped)?;
        single(&mut reply, &dropped)?;
        atomic(&mut reply, &dropped)?;
        reply.dropped = dropped.load(Ordering::Relaxed);
        reply.held_after = PoolUsage::current().outstanding();
        Ok(reply)
    }
}

/// How many of the numbers are those expected, until the first that is not.
fn in_order(numbers: impl Iterator<Item = u64>, expected: impl Iterator<Item = u64>) -> u64 {
    to_u64(numbers.zip(expected).take_while(|(a, b)| a == b).count())
}

fn double(reply: &mut ListReply, dropped: &AtomicU64) -> Result<()> {
    let mut list = List::new(SELFTEST)?;
    // The second half at the end, the first half at the front, backwards.
    for number in ENTRIES / 2..ENTRIES {
        list.push_back(Entry::new(number, dropped)?);
    }
    for number in (0..ENTRIES / 2).rev() {
        list.push_front(Entry::new(number, dropped)?);
    }
    reply.len = to_u64(list.len());
    reply.forward = in_order(list.iter().map(|entry| entry.number), 0..ENTRIES);
    let backward = list.iter().rev().map(|entry| entry.number);
    reply.backward = in_order(backward, (0..ENTRIES).rev());
    let mut cursor = list.cursor();
    while let Some(entry) = cursor.current() {
        if entry.number % 3 == 0 {
            reply.taken = reply
                .taken
                .saturating_add(u64::from(cursor.take().is_some()));
        } else {
            cursor.move_next();
        }
    }
    let left = (0..ENTRIES).filter(|number| number % 3 != 0);
    reply.left = in_order(list.iter().map(|entry| entry.number), left);
    let mut cursor = list.cursor();
    cursor.move_next();
    cursor.insert_before(Entry::new(1000, dropped)?);
    let inserted = list.iter().nth(1).is_some_and(|entry| entry.number == 1000);
    reply.inserted = inserted.into();
    reply.last = list.pop_back().map_or(u64::MAX, |entry| entry.number);
    Ok(())
}

fn locked(reply: &mut ListReply, dropped: &AtomicU64) -> Result<()> {
    let list = InterlockedList::new(SELFTEST)?;
    for number in ENTRIES / 2..ENTRIES {
        let was_empty = list.push_back(Entry::new(number, dropped)?);
        reply.locked_was_empty = reply.locked_was_empty.saturating_add(was_empty.into());
    }
    for number in (0..ENTRIES / 2).rev() {
        let was_empty = list.push_front(Entry::new(number, dropped)?);
        reply.locked_was_empty = reply.locked_was_empty.saturating_add(was_empty.into());
    }
    let taken = core::iter::from_fn(|| list.pop_front());
    reply.locked = in_order(taken.map(|entry| entry.number), 0..ENTRIES);
    Ok(())
}

fn single(reply: &mut ListReply, dropped: &AtomicU64) -> Result<()> {
    let mut list = Stack::new();
    for number in 0..ENTRIES {
        list.push(Entry::new(number, dropped)?);
    }
    reply.single = in_order(list.iter().map(|entry| entry.number), (0..ENTRIES).rev());
    let locked = InterlockedStack::new(SELFTEST)?;
    // Back into order, as each is taken off one and put onto the other.
    while let Some(entry) = list.pop() {
        let _ = locked.push(entry);
    }
    let taken = core::iter::from_fn(|| locked.pop());
    reply.locked_single = in_order(taken.map(|entry| entry.number), 0..ENTRIES);
    Ok(())
}

fn atomic(reply: &mut ListReply, dropped: &AtomicU64) -> Result<()> {
    let list = SList::new(SELFTEST)?;
    for number in 0..ENTRIES {
        let _ = list.push(Entry::new(number, dropped)?);
    }
    reply.atomic_depth = list.depth().into();
    let taken = core::iter::from_fn(|| list.pop()).take(10);
    reply.atomic_taken = in_order(taken.map(|entry| entry.number), (0..ENTRIES).rev());
    let flushed = list.flush().map(|entry| entry.number);
    reply.atomic_flushed = in_order(flushed, (0..ENTRIES - 10).rev());
    reply.atomic_left = list.depth().into();
    Ok(())
}
