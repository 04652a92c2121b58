//! The replies of the self-test commands: named numbers that the caller can check against
//! the reference.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Defines a reply of numbers, and the list of their names.
macro_rules! measures {
    ($($(#[$attribute:meta])* $reply:ident { $($(#[$doc:meta])* $field:ident,)* })*) => {$(
        $(#[$attribute])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
        )]
        #[repr(C)]
        pub struct $reply {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl $reply {
            /// The names of the numbers, in their order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field),)*];
        }
    )*};
}

measures! {
    /// Pool of every kind, taken, filled, read back and given back. Alignments are
    /// the largest power of two, up to a page, that divides the address.
    PoolReply {
        /// Blocks that the driver held before.
        held_before,
        /// Alignment of a nonpaged value of 24 bytes.
        value_alignment,
        /// Alignment of one that was to begin with a cache line.
        cache_alignment,
        /// Alignment of a value whose type asks for 256.
        wide_alignment,
        /// Alignment of a block of one page.
        page_alignment,
        /// Bytes that are 0 in a new block of 777.
        zeroed,
        /// Bytes that read back as filled in an uninitialised block of 777.
        filled,
        /// The number read from a value in paged pool: 0x1234.
        paged_value,
        /// Alignment of a value in paged pool that was to begin with a cache line.
        paged_alignment,
        /// Bytes that are 0 in a new block of 500 that is charged to the process.
        charged,
        /// Numbers in an array that 1000 were appended to.
        vec_len,
        /// How many it has room for.
        vec_capacity,
        /// How often it moved to a larger block.
        vec_moves,
        /// The sum of the numbers 0 to 999 in it.
        vec_sum,
        /// Values left when one was taken out of the middle and one off the end.
        vec_left,
        /// The sum of the numbers 0 to 99 in an array in paged pool.
        paged_sum,
        /// The sum of the squares of 0 to 9 in an array of fixed length.
        slice_sum,
        /// Units of the text that was put together from three parts.
        text_units,
        /// 1 if it is the text expected.
        text_equal,
        /// Blocks held at this point, in addition to those before.
        held_more,
        /// Bytes that are 0 in 100 from `ExAllocatePool`.
        legacy,
        /// Bytes that are 0 in 200 from `ExAllocatePoolWithTag`, in paged pool.
        legacy_tagged,
        /// Bytes that are 0 in 300 from `ExAllocatePoolWithQuota`.
        legacy_charged,
        /// Bytes that are 0 in 400 from `ExAllocatePoolWithQuotaTag`, in paged pool.
        legacy_charged_tagged,
        /// The status of a block of 0 bytes.
        empty_status,
        /// The status of a block whose alignment is above a page.
        too_wide_status,
        /// Blocks that the driver holds afterwards.
        held_after,
    }

    /// Lists of every kind: 60 entries put in, walked, taken out.
    ListReply {
        /// Blocks that the driver held before.
        held_before,
        /// Where the links lie in an entry, in bytes.
        links_offset,
        /// Entries of a doubly linked list.
        len,
        /// Entries in the right place, from the first to the last.
        forward,
        /// Entries in the right place, from the last to the first.
        backward,
        /// Entries that a cursor took out: every third.
        taken,
        /// Entries in the right place after that.
        left,
        /// 1 if an entry that a cursor put before the second is there.
        inserted,
        /// What the entry says that was taken off the end.
        last,
        /// Entries of an interlocked doubly linked list that came out in order.
        locked,
        /// Times that it said to have been empty before an insertion.
        locked_was_empty,
        /// Entries of a singly linked list that came out in reverse order.
        single,
        /// Entries of an interlocked singly linked list, likewise.
        locked_single,
        /// Depth of an SLIST with all entries.
        atomic_depth,
        /// Entries that were taken from it one by one, in reverse order.
        atomic_taken,
        /// Entries that were flushed from it, in reverse order.
        atomic_flushed,
        /// Depth of it afterwards.
        atomic_left,
        /// Entries dropped with the lists that they were in.
        dropped,
        /// Blocks that the driver holds afterwards.
        held_after,
    }

    /// Lookaside lists: nonpaged, paged, and with a supplier of the driver's.
    LookasideReply {
        /// Blocks that the driver held before.
        held_before,
        /// The sum of the numbers 0 to 7 in eight blocks.
        sum,
        /// Blocks taken from the nonpaged list.
        taken,
        /// Of these, how many it had none for.
        take_misses,
        /// Blocks given back to it.
        freed,
        /// Of these, how many it had no room for.
        free_misses,
        /// Blocks in it then.
        depth,
        /// 1 if the block that was given back last is the first to be taken.
        last_first,
        /// Blocks in it after flushing.
        flushed_depth,
        /// The sum of the numbers 0 to 7 in eight blocks of the paged list.
        paged_sum,
        /// Blocks taken from the paged list.
        paged_taken,
        /// Of these, how many it had none for.
        paged_take_misses,
        /// Blocks that the driver's supplier gave.
        supplied,
        /// Requests that it refused.
        refused,
        /// The status of a request that it refused.
        refused_status,
        /// Blocks that it got back, the list being deleted included.
        reclaimed,
        /// The status of a list for a type whose alignment is above 16 bytes.
        too_wide_status,
        /// Blocks that the driver holds afterwards.
        held_after,
    }

    /// Memory routines over a buffer of 512 bytes that begins with 0, 1, 2, …
    MemoryReply {
        /// Bytes copied to a shorter buffer of 300.
        copied,
        /// Of these, how many are equal (`RtlCompareMemory`).
        copied_equal,
        /// Bytes in the right place after 400 were moved up by 100.
        moved_up,
        /// Bytes in the right place after 400 were moved down by 100.
        moved_down,
        /// Moves that reach beyond the buffer and were refused, of 3.
        refused,
        /// Bytes that read back as filled.
        filled,
        /// Bytes that are 0 after zeroing.
        zeroed,
        /// Bytes that are 0 after secure zeroing.
        secure_zeroed,
        /// Bytes equal before the one that was changed, the 123rd.
        compared,
        /// 1 if equal memory is equal.
        equal,
        /// 1 if memory that differs in its last byte is equal.
        unequal,
        /// 1 if memory of other length is equal.
        other_length,
    }

    /// Locks and events.
    SyncReply {
        /// The IRQL under a fast mutex.
        fast_irql,
        /// The IRQL under a guarded mutex.
        guarded_irql,
        /// The IRQL afterwards.
        after_irql,
        /// What a thousand steps under both made of a number.
        count,
        /// 1 if an event that was made set is.
        event_set,
        /// 1 if setting it again said that it was set.
        event_was_set,
        /// 1 if a synchronization event is still set once it was waited for.
        synchronization_left,
        /// 1 if a notification event is.
        notification_left,
        /// 1 if waiting 1 ms for an event that nobody sets ended without it.
        timed_out,
        /// References to a remove lock that were given.
        acquired,
        /// The status of one that was asked for after the removal.
        removed_status,
        /// 1 if pageable code ran where it may, as `PAGED_CODE` says.
        paged_code,
    }

    /// Time, and 64-bit integers in halves.
    TimeReply {
        /// -2 as a 64-bit value.
        quad,
        /// Its lower half.
        low,
        /// Its upper half, as 32 bits.
        high,
        /// 1 if the halves make the value again.
        whole,
        /// System time, in units of 100 ns since 1601.
        system_time,
        /// The year of that.
        year,
        /// The month, 1 to 12.
        month,
        /// The day, 1 to 31.
        day,
        /// The hour, 0 to 23.
        hour,
        /// The minute, 0 to 59.
        minute,
        /// The second, 0 to 59.
        second,
        /// The performance counter.
        ticks,
        /// The performance counter a moment later.
        ticks_later,
        /// Its ticks a second.
        frequency,
    }

    /// What the driver holds of the kernel's pool.
    HeldReply {
        /// Blocks taken since it started.
        taken,
        /// Of these, how many went back.
        freed,
        /// How many did not.
        held,
        /// Files open now.
        files,
        /// Requests waiting now.
        waiting,
    }

    /// What a probe answered.
    ProbeReply {
        /// 0, or the status that `ProbeForRead` or `ProbeForWrite` raised.
        status,
    }
}

/// A range to be probed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ProbeRequest {
    /// Its address, in the memory of who asks.
    pub address: u64,
    /// Its length in bytes.
    pub len: u64,
    /// What it has to be aligned to: 1, 2, 4, 8 or 16.
    pub alignment: u32,
    /// 0 for `ProbeForRead`, 1 for `ProbeForWrite`.
    pub for_writing: u32,
}
