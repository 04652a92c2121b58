//! Requests: IRPs that the driver builds, sends to a device of its own, completes,
//! cancels and sees completed.

use core::{
    ptr,
    sync::atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    DEVICE_OBJECT, DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, IO_STATUS_BLOCK, IRP, IRP_MJ_CLEANUP,
    IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_READ, KEVENT, LARGE_INTEGER, NTSTATUS,
    PDEVICE_OBJECT, PIO_STACK_LOCATION, PIRP, PVOID, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST, STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_PENDING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
    ntddk::{
        IoAcquireCancelSpinLock, IoAllocateIrp, IoBuildDeviceIoControlRequest,
        IoBuildSynchronousFsdRequest, IoCancelIrp, IoFreeIrp, IoReleaseCancelSpinLock, IoReuseIrp,
        IofCallDriver, IofCompleteRequest, KeInitializeEvent, MmMapLockedPagesSpecifyCache,
    },
};

use crate::{
    DRIVER,
    check::{Case, Checks, Outcome},
    io::Device,
    ke::wait,
    kernel::{FALSE, KERNEL_MODE, SL_INVOKE_ALWAYS, SL_PENDING_RETURNED},
};

pub const CASES: &[Case] = &[
    (c"Unhandled", unhandled),
    (c"Buffered", buffered),
    (c"Direct", direct),
    (c"Neither", neither),
    (c"Reading", reading),
    (c"Completion", completion),
    (c"Cancelling", cancelling),
];

/// `CTL_CODE` of an unknown device, for anybody, with one of four methods.
const fn code(function: u32, method: u32) -> u32 {
    (0x22 << 16) | ((0x800 + function) << 2) | method
}

/// Adds 1 to each byte of the input.
const BUFFERED: u32 = code(1, 0);
/// Copies the input to the pages of the output.
const DIRECT: u32 = code(2, 2);
/// The sum of the input, at the caller's address.
const NEITHER: u32 = code(3, 3);
/// Stays until it is cancelled.
const PENDING: u32 = code(4, 0);
/// Is completed twice, which is a mistake.
const TWICE: u32 = code(5, 0);

/// `IoGetCurrentIrpStackLocation`.
unsafe fn current(irp: PIRP) -> PIO_STACK_LOCATION {
    // SAFETY: the caller's IRP has a current location; the unions are of this use.
    unsafe {
        (*irp)
            .Tail
            .Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    }
}

/// Ends a request.
unsafe fn complete(irp: PIRP, status: NTSTATUS, information: u64) -> NTSTATUS {
    // SAFETY: the caller owns the IRP, and does not use it afterwards.
    unsafe {
        (*irp).IoStatus.__bindgen_anon_1.Status = status;
        (*irp).IoStatus.Information = information;
        IofCompleteRequest(irp, 0);
    }
    status
}

unsafe extern "C" fn control(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the I/O manager passes a request of this kind.
    unsafe {
        let parameters = (*current(irp)).Parameters.DeviceIoControl;
        let (input, output) = (parameters.InputBufferLength, parameters.OutputBufferLength);
        let system = (*irp).AssociatedIrp.SystemBuffer.cast::<u8>();
        match parameters.IoControlCode {
            BUFFERED if output < input => complete(irp, STATUS_BUFFER_TOO_SMALL, 0),
            BUFFERED => {
                for index in 0..input as usize {
                    let byte = system.add(index);
                    byte.write(byte.read().wrapping_add(1));
                }
                complete(irp, STATUS_SUCCESS, input.into())
            }
            DIRECT => {
                let mdl = (*irp).MdlAddress;
                let none = ptr::null_mut();
                let pages = MmMapLockedPagesSpecifyCache(mdl, 0, 1, none, 0, 16);
                if pages.is_null() {
                    return complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
                }
                let length = input.min((*mdl).ByteCount);
                pages
                    .cast::<u8>()
                    .copy_from_nonoverlapping(system, length as usize);
                complete(irp, STATUS_SUCCESS, length.into())
            }
            NEITHER => {
                let source = parameters.Type3InputBuffer.cast::<u8>();
                let sum = (0..input as usize).map(|index| u64::from(source.add(index).read()));
                (*irp).UserBuffer.cast::<u64>().write_unaligned(sum.sum());
                complete(irp, STATUS_SUCCESS, 8)
            }
            PENDING => {
                (*current(irp)).Control |= SL_PENDING_RETURNED;
                // `IoSetCancelRoutine`, which is an exchange.
                (*irp).CancelRoutine = Some(cancel);
                STATUS_PENDING
            }
            TWICE => {
                complete(irp, STATUS_SUCCESS, 0);
                complete(irp, STATUS_SUCCESS, 0)
            }
            _ => complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0),
        }
    }
}

unsafe extern "C" fn read(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the I/O manager passes a request of this kind, with a buffer.
    unsafe {
        let parameters = (*current(irp)).Parameters.Read;
        let system = (*irp).AssociatedIrp.SystemBuffer.cast::<u8>();
        let from = parameters.ByteOffset.QuadPart.to_le_bytes()[0];
        for index in 0..parameters.Length {
            let byte = index.to_le_bytes()[0].wrapping_add(from);
            system.add(index as usize).write(byte);
        }
        complete(irp, STATUS_SUCCESS, parameters.Length.into())
    }
}

static CANCELLED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn cancel(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    CANCELLED.fetch_add(1, SeqCst);
    // SAFETY: the I/O manager holds the cancel lock for this routine.
    unsafe {
        IoReleaseCancelSpinLock((*irp).CancelIrql);
        complete(irp, STATUS_CANCELLED, 0);
    }
}

/// A device that takes requests.
fn device() -> Result<Device, NTSTATUS> {
    let driver = DRIVER.load(Relaxed);
    let device = Device::new(ptr::null_mut(), 0)?;
    // SAFETY: driver and device are this driver's.
    unsafe {
        (*driver).MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(control);
        (*driver).MajorFunction[IRP_MJ_READ as usize] = Some(read);
        (*device.0).Flags |= DO_BUFFERED_IO;
        (*device.0).Flags &= !DO_DEVICE_INITIALIZING;
    }
    Ok(device)
}

/// Sends a control request and waits for it; its status and what it returned.
fn ask(
    device: &Device,
    code: u32,
    input: &[u8],
    output: &mut [u8],
) -> Result<(NTSTATUS, u64), NTSTATUS> {
    object!(event: KEVENT);
    object!(block: IO_STATUS_BLOCK);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cases' buffers are small"
    )]
    let lengths = (input.len() as u32, output.len() as u32);
    // SAFETY: buffers, event and block live until the request has ended.
    unsafe {
        KeInitializeEvent(event, NotificationEvent, FALSE);
        let irp = IoBuildDeviceIoControlRequest(
            code,
            device.0,
            input.as_ptr().cast_mut().cast(),
            lengths.0,
            output.as_mut_ptr().cast(),
            lengths.1,
            FALSE,
            event,
            block,
        );
        if irp.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        let status = IofCallDriver(device.0, irp);
        if status == STATUS_PENDING {
            wait(event.cast(), 10_000);
        }
        Ok((status, (*block).Information))
    }
}

fn unhandled(checks: &mut Checks) -> Outcome {
    let device = device()?;
    let answer = ask(&device, code(99, 0), &[], &mut [])?;
    check!(checks, answer == (STATUS_INVALID_DEVICE_REQUEST, 0));
    // What a driver has no routine for, the I/O manager's own refuses.
    let driver = DRIVER.load(Relaxed);
    // SAFETY: the driver object is this driver's.
    let all = unsafe { (*driver).MajorFunction };
    check!(checks, all.iter().all(Option::is_some));
    let address = |major: u32| all[major as usize].map(|routine| routine as *const () as usize);
    check!(checks, address(IRP_MJ_CREATE) != address(IRP_MJ_READ));
    check!(checks, address(IRP_MJ_CREATE) == address(IRP_MJ_CLEANUP));
    Ok(())
}

fn buffered(checks: &mut Checks) -> Outcome {
    let device = device()?;
    let mut output = [0xEE; 6];
    let answer = ask(&device, BUFFERED, &[1, 2, 255], &mut output)?;
    check!(checks, answer == (STATUS_SUCCESS, 3));
    // Of the buffer, as much comes back as was written.
    check!(checks, output == [2, 3, 0, 0xEE, 0xEE, 0xEE]);
    let mut output = [0xEE; 2];
    let (status, _) = ask(&device, BUFFERED, &[1, 2, 255], &mut output)?;
    returns!(checks, status, STATUS_BUFFER_TOO_SMALL);
    check!(checks, output == [0xEE; 2]);
    Ok(())
}

fn direct(checks: &mut Checks) -> Outcome {
    let device = device()?;
    let mut output = [0xEE; 16];
    let answer = ask(&device, DIRECT, &[7, 8, 9], &mut output)?;
    check!(checks, answer == (STATUS_SUCCESS, 3));
    check!(checks, output[..4] == [7, 8, 9, 0xEE]);
    Ok(())
}

fn neither(checks: &mut Checks) -> Outcome {
    let device = device()?;
    let mut output = [0; 8];
    let answer = ask(&device, NEITHER, &[200, 100, 50], &mut output)?;
    check!(checks, answer == (STATUS_SUCCESS, 8));
    check!(checks, u64::from_le_bytes(output) == 350);
    Ok(())
}

fn reading(checks: &mut Checks) -> Outcome {
    let device = device()?;
    object!(event: KEVENT);
    object!(block: IO_STATUS_BLOCK);
    let mut offset = LARGE_INTEGER { QuadPart: 5 };
    let mut data = [0_u8; 4];
    // SAFETY: buffer, event and block live until the request has ended.
    unsafe {
        KeInitializeEvent(event, NotificationEvent, FALSE);
        let irp = IoBuildSynchronousFsdRequest(
            IRP_MJ_READ,
            device.0,
            data.as_mut_ptr().cast(),
            4,
            &raw mut offset,
            event,
            block,
        );
        if irp.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        returns!(checks, IofCallDriver(device.0, irp), STATUS_SUCCESS);
        returns!(checks, wait(event.cast(), 10_000), STATUS_SUCCESS);
        check!(checks, (*block).Information == 4);
    }
    check!(checks, data == [5, 6, 7, 8]);
    Ok(())
}

/// An IRP of `IoAllocateIrp`.
struct Own(PIRP);

impl Own {
    fn new(device: &Device) -> Result<Self, NTSTATUS> {
        // SAFETY: the device is there.
        let irp = unsafe { IoAllocateIrp((*device.0).StackSize, FALSE) };
        if irp.is_null() {
            Err(STATUS_INSUFFICIENT_RESOURCES)
        } else {
            Ok(Self(irp))
        }
    }

    /// Sends it as a request without buffers, which `completed` takes back.
    ///
    /// # Safety
    ///
    /// `seen` lives until then.
    unsafe fn send(&self, device: &Device, code: u32, seen: &AtomicU64) -> NTSTATUS {
        // SAFETY: the next location is the one before the current.
        unsafe {
            let next = current(self.0).sub(1);
            (*next).MajorFunction = IRP_MJ_DEVICE_CONTROL.to_le_bytes()[0];
            (*next).Parameters.DeviceIoControl.IoControlCode = code;
            (*next).CompletionRoutine = Some(completed);
            (*next).Context = ptr::from_ref(seen).cast_mut().cast();
            (*next).Control = SL_INVOKE_ALWAYS;
            (*self.0).RequestorMode = KERNEL_MODE;
            IofCallDriver(device.0, self.0)
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: nobody else has the IRP any more.
        unsafe { IoFreeIrp(self.0) };
    }
}

/// Notes the request's status, and keeps the IRP.
unsafe extern "C" fn completed(_: *mut DEVICE_OBJECT, irp: *mut IRP, seen: PVOID) -> NTSTATUS {
    // SAFETY: the context is the caller's, who waits.
    unsafe {
        let status = (*irp).IoStatus.__bindgen_anon_1.Status.cast_unsigned();
        let seen = &*seen.cast::<AtomicU64>();
        // One more than the status, since that may be 0.
        seen.store(u64::from(status) + 1, SeqCst);
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

fn completion(checks: &mut Checks) -> Outcome {
    let device = device()?;
    let irp = Own::new(&device)?;
    let seen = AtomicU64::new(0);
    // SAFETY: the request ends before the call does.
    unsafe {
        check!(
            checks,
            (*irp.0).StackCount == 1 && (*irp.0).CurrentLocation == 2
        );
        let status = irp.send(&device, code(98, 0), &seen);
        returns!(checks, status, STATUS_INVALID_DEVICE_REQUEST);
        check!(checks, seen.load(SeqCst) == 0xC000_0011);
        check!(checks, (*irp.0).CurrentLocation == 2);
        IoReuseIrp(irp.0, STATUS_UNSUCCESSFUL);
        check!(
            checks,
            (*irp.0).IoStatus.__bindgen_anon_1.Status == STATUS_UNSUCCESSFUL
        );
        irp.send(&device, code(97, 0), &seen);
        check!(checks, seen.load(SeqCst) == 0xC000_0011);
    }
    Ok(())
}

fn cancelling(checks: &mut Checks) -> Outcome {
    let device = device()?;
    let irp = Own::new(&device)?;
    let seen = AtomicU64::new(0);
    CANCELLED.store(0, SeqCst);
    // SAFETY: the request ends when it is cancelled, before this function does.
    unsafe {
        let status = irp.send(&device, PENDING, &seen);
        returns!(checks, status, STATUS_PENDING);
        check!(checks, seen.load(SeqCst) == 0);
        check!(checks, IoCancelIrp(irp.0) != 0);
        check!(checks, seen.load(SeqCst) == 0xC000_0121);
        check!(checks, CANCELLED.load(SeqCst) == 1);
        check!(
            checks,
            (*irp.0).Cancel != 0 && (*irp.0).CancelRoutine.is_none()
        );
        // A second time there is no routine left.
        check!(checks, IoCancelIrp(irp.0) == 0);
        let mut level = 0;
        IoAcquireCancelSpinLock(&raw mut level);
        IoReleaseCancelSpinLock(level);
        check!(checks, level == 0);
    }
    Ok(())
}

/// Has a request completed twice.
pub fn complete_twice() {
    if let Ok(device) = device() {
        let _ = ask(&device, TWICE, &[], &mut []);
    }
}
