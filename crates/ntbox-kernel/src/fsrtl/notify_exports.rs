//! The functions by which file systems keep lists of those who wait for changes.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Call, NoReturn};

use super::notify::{
    Change, DirectoryWatch, TAG, WATCHES, add, bytes_of, complete, complete_all, end, find, report,
};
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::io_layout::{irp, stack};
use crate::ex::pool;
use crate::io::irp as packets;
use crate::io::nt_file_io::low;
use crate::ke::irp_cancel_lock;
use crate::mm;

/// The arguments that both forms of a request begin with: sync, list, context,
/// directory, tree, ignore buffer, filter, request, traverse routine, subject.
fn change_directory(call: &Call<'_>, report: u64) -> Result<(), NoReturn> {
    let caller = CallContext::of(call);
    let (list, context, packet) = (call.argument(1)?, call.argument(2)?, call.argument(7)?);
    if packet == 0 {
        // The file is being deleted.
        return match find(list, context) {
            Some(at) => complete_all(at, nt_status::STATUS_DELETE_PENDING, &caller),
            None => Ok(()),
        };
    }
    let directory = bytes_of(call.argument(3)?)?;
    let place = packets::location(packet)?;
    let room = driver_mem::read_u32(place + stack::directory::LENGTH)?;
    let watch = DirectoryWatch {
        list,
        context,
        // Names are ASCII where it matters: the first character is a separator.
        wide: directory.get(1) == Some(&0),
        directory,
        tree: call.argument(4)? & 0xff != 0,
        ignore_buffer: call.argument(5)? & 0xff != 0,
        filter: low(call.argument(6)?),
        traverse: call.argument(8)?,
        subject: call.argument(9)?,
        report,
        room: usize::try_from(room).unwrap_or(0),
        waiting: std::collections::VecDeque::new(),
        untold: Some(Vec::new()),
    };
    add(packet, watch, &caller)
}

/// The arguments that both forms of a report begin with: sync, list, target, offset of
/// its last component, stream, normalized parent, filter, action, target's context.
fn report_change(call: &Call<'_>, context: u64) -> Result<(), NoReturn> {
    let name = bytes_of(call.argument(2)?)?;
    let wide = name.get(1) == Some(&0);
    let separator = if wide { 2 } else { 1 };
    let offset =
        usize::from(u16::try_from(call.argument(3)? & 0xffff).unwrap_or(0)).min(name.len());
    let normalized = bytes_of(call.argument(5)?)?;
    let parent = match offset {
        _ if !normalized.is_empty() => normalized,
        // The root's own separator stays.
        offset if offset <= separator => name[..offset].to_vec(),
        offset => name[..offset - separator].to_vec(),
    };
    let mut last = name[offset..].to_vec();
    let stream = bytes_of(call.argument(4)?)?;
    if !stream.is_empty() {
        last.extend(if wide { &b":\0"[..] } else { b":" });
        last.extend(stream);
    }
    let change = Change {
        parent,
        last,
        filter: low(call.argument(6)?),
        action: low(call.argument(7)?),
        target: call.argument(8)?,
        context,
    };
    report(call.argument(1)?, &change, &CallContext::of(call))
}

exports! {
    /// `FsRtlNotifyInitializeSync`.
    fn FsRtlNotifyInitializeSync<call>(out: u64) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        /// `NonPagedPoolNx`, and bytes of the object.
        const NONPAGED: u32 = 0x200;
        const SIZE: u64 = 0x48;
        driver_mem::write_u64(out, 0)?;
        let block = pool::allocate_or_raise(NONPAGED, SIZE, TAG, call.return_address())?;
        driver_mem::fill(block, 0, SIZE)?;
        Ok(driver_mem::write_u64(out, block)?)
    }

    /// `FsRtlNotifyUninitializeSync`.
    fn FsRtlNotifyUninitializeSync<call>(out: u64) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let block = driver_mem::read_u64(out)?;
        if block != 0 {
            mm::pool::free_by(block, call.return_address());
            driver_mem::write_u64(out, 0)?;
        }
        Ok(())
    }

    /// `FsRtlNotifyFullChangeDirectory`: the request is completed here, now or later.
    fn FsRtlNotifyFullChangeDirectory<call>() -> () [max PASSIVE_LEVEL, rxprocs] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        change_directory(call, 0)
    }

    /// `FsRtlNotifyFilterChangeDirectory`: with a routine that is asked at each report.
    fn FsRtlNotifyFilterChangeDirectory<call>() -> () [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let report = call.argument(10)?;
        change_directory(call, report)
    }

    /// `FsRtlNotifyFullReportChange`.
    fn FsRtlNotifyFullReportChange<call>() -> () [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        report_change(call, 0)
    }

    /// `FsRtlNotifyFilterReportChange`: with a context for that routine.
    fn FsRtlNotifyFilterReportChange<call>() -> () [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let context = call.argument(9)?;
        report_change(call, context)
    }

    /// `FsRtlNotifyCleanup`: of a file object.
    fn FsRtlNotifyCleanup<call>(sync: u64, list: u64, context: u64) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        match find(list, context) {
            Some(at) => end(at, &CallContext::of(call)),
            None => Ok(()),
        }
    }

    /// `FsRtlNotifyCleanupAll`: of a list.
    fn FsRtlNotifyCleanupAll<call>(sync: u64, list: u64) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let of_list = |(at, watch): (&u64, &DirectoryWatch)| (watch.list == list).then_some(*at);
        let all: Vec<u64> = WATCHES.lock().iter().filter_map(of_list).collect();
        all.into_iter().try_for_each(|at| end(at, &CallContext::of(call)))
    }

    /// The cancel routine of a request that waits. No driver imports it.
    fn IopCancelNotifyRequest<call>(body: u64, packet: u64) -> ()
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let caller = CallContext::of(call);
        let irql = driver_mem::read_u8(packet + irp::CANCEL_IRQL)?;
        let waited = WATCHES.lock().values_mut().any(|watch| {
            let before = watch.waiting.len();
            watch.waiting.retain(|known| *known != packet);
            watch.waiting.len() != before
        });
        irp_cancel_lock::release(irql, caller.address())?;
        if waited {
            complete(packet, nt_status::STATUS_CANCELLED, &[], &caller)?;
        }
        Ok(())
    }
}
