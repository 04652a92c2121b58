//! The dispatch of control requests, as drivers have it.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one argument holds for a whole function: its buffer is large enough"
)]

#[repr(C)]
struct Request {
    code: u32,
    input: u32,
    output: u32,
    status: u32,
    buffer: *mut u64,
    information: u64,
}

#[repr(C)]
struct Extension {
    count: u64,
    bytes: u64,
    errors: u64,
    last: [u64; 8],
    lock: u64,
    histogram: [u32; 16],
}

const BUFFER_TOO_SMALL: u32 = 0xC000_0023;
const INVALID_DEVICE_REQUEST: u32 = 0xC000_0010;

#[inline(never)]
unsafe extern "win64" fn exchange(extension: *mut Extension, request: *mut Request) -> u32 {
    // SAFETY: both lie in the buffer of the benchmark.
    unsafe {
        if (*request).input < 64 || (*request).output < 64 {
            (*extension).errors += 1;
            return BUFFER_TOO_SMALL;
        }
        let data = (*request).buffer;
        let last = (&raw mut (*extension).last).cast::<u64>();
        for index in 0..8 {
            let value = data.add(index).read_volatile();
            data.add(index)
                .write_volatile(last.add(index).read_volatile());
            last.add(index).write_volatile(value);
        }
        (*extension).bytes += 64;
        (*request).information = 64;
    }
    0
}

#[inline(never)]
unsafe extern "win64" fn statistics(extension: *mut Extension, request: *mut Request) -> u32 {
    // SAFETY: both lie in the buffer of the benchmark.
    unsafe {
        if (*request).output < 24 {
            return BUFFER_TOO_SMALL;
        }
        let data = (*request).buffer;
        *data = (*extension).count;
        *data.add(1) = (*extension).bytes;
        *data.add(2) = (*extension).errors;
        (*request).information = 24;
    }
    0
}

#[inline(never)]
unsafe extern "win64" fn dispatch(
    extension: *mut Extension,
    request: *mut Request,
    lock: bool,
) -> u32 {
    // SAFETY: both lie in the buffer of the benchmark.
    unsafe {
        (*request).information = 0;
        if lock {
            crate::import()(&raw mut (*extension).lock);
        }
        (*extension).count += 1;
        let slot = (*request).code as usize >> 2 & 15;
        *(&raw mut (*extension).histogram).cast::<u32>().add(slot) += 1;
        let status = match (*request).code {
            0x22_2000 => exchange(extension, request),
            0x22_2004 => statistics(extension, request),
            0x22_2008 => {
                (*extension).bytes = 0;
                0
            }
            0x22_200c => u32::from((*request).input != 0) * BUFFER_TOO_SMALL,
            0x22_2010 => {
                (*extension).errors = 0;
                0
            }
            _ => {
                (*extension).errors += 1;
                INVALID_DEVICE_REQUEST
            }
        };
        (*request).status = status;
        if lock {
            crate::import()(&raw mut (*extension).lock);
        }
        status
    }
}

#[inline(always)]
pub unsafe fn request_loop(buffer: *mut u8, n: u64, lock: bool) -> u64 {
    let request = buffer.cast::<Request>();
    let extension = buffer.wrapping_add(4096).cast::<Extension>();
    let mut hash = 0_u64;
    for index in 0..n {
        // SAFETY: both lie in the buffer of the benchmark.
        unsafe {
            (*request).code = 0x22_2000 + 4 * (index % 6) as u32;
            (*request).input = 64;
            (*request).output = 64;
            (*request).buffer = buffer.add(8192).cast();
            hash = hash
                .wrapping_mul(3)
                .wrapping_add(u64::from(dispatch(extension, request, lock)))
                .wrapping_add((*request).information);
        }
    }
    hash
}
