//! A control device and its requests, from the dispatch routine to the completion.

use wdk_sys::host::{Handle, Kernel};
use wdm::{
    Status,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{
        CancelSafeQueue, Completion, Direction, FileId, ProcessorMode, ReadWriteRequest, Request,
    },
    irql::Passive,
    pool::PoolTag,
    utf16,
};
use wdm_host::{TAG, load};

const REVERSE: u32 = 0x22_2000;
const FILL: u32 = 0x22_2006;
const SUM: u32 = 0x22_2009;
const COPY: u32 = 0x22_200F;
const WAIT: u32 = 0x22_2010;
const TAKE: u32 = 0x22_2014;
const FORGET: u32 = 0x22_2018;

const NAMES: DeviceNames = DeviceNames {
    device: utf16!(r"\Device\Test"),
    link: utf16!(r"\DosDevices\Test"),
};

struct Subject {
    waiting: CancelSafeQueue,
}

impl Subject {
    fn create(context: &Context<'_>, passive: &mut Passive) -> wdm::Result<ControlDevice<Self>> {
        let subject = Self {
            waiting: CancelSafeQueue::new(TAG)?,
        };
        ControlDevice::create(context, NAMES, subject, passive)
    }

    fn reverse(mut request: Request<'_, String>) -> Completion<'_> {
        match request.input::<[u8; 4]>() {
            Ok([a, b, c, d]) => request.reply(&[d, c, b, a]),
            Err(status) => request.fail(status),
        }
    }

    fn sum(mut request: Request<'_, String>) -> Completion<'_> {
        let sum = request.direct().and_then(|direct| {
            let mut reader = direct.reader();
            let mut bytes = vec![0; reader.remaining()];
            reader.read_bytes(&mut bytes)?;
            Ok(bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>())
        });
        match sum {
            Ok(10) => request.succeed(),
            Ok(_) => request.fail(Status::DATA_ERROR),
            Err(status) => request.fail(status),
        }
    }

    fn fill(mut request: Request<'_, String>) -> Completion<'_> {
        let written = request.direct().and_then(|direct| {
            let mut writer = direct.writer()?;
            writer.write_bytes(&vec![7; writer.remaining()])
        });
        answer(request, written)
    }

    fn copy<'r>(mut request: Request<'r, String>, passive: &Passive) -> Completion<'r> {
        let written = request.neither().and_then(|memory| {
            let mut reader = memory.input.reader();
            let mut writer = memory.output.writer();
            let value: u32 = reader.read(passive)?;
            writer.write(&value.to_be(), passive)
        });
        assert!(request.neither().is_err(), "it was asked for before");
        answer(request, written)
    }
}

fn answer(request: Request<'_, String>, done: Result<(), Status>) -> Completion<'_> {
    match done {
        Ok(()) => request.succeed(),
        Err(status) => request.fail(status),
    }
}

impl Device for Subject {
    const TAG: PoolTag = TAG;
    type File = String;

    fn create(&self, requestor: ProcessorMode, _: &mut Passive) -> Result<String, Status> {
        assert_eq!(requestor, ProcessorMode::User);
        Ok(String::from("file"))
    }

    fn control<'r>(
        &self,
        mut request: Request<'r, String>,
        passive: &mut Passive,
    ) -> Completion<'r> {
        assert_eq!(request.file(), "file");
        match request.code().raw() {
            REVERSE => Self::reverse(request),
            SUM => Self::sum(request),
            WAIT => request.pend(&self.waiting),
            TAKE => match self.waiting.remove_next(passive) {
                Some(waiting) => {
                    waiting.reply(&[1_u8, 2, 3]);
                    request.reply(&[1_u8])
                }
                None => request.fail(Status::NOT_FOUND),
            },
            FORGET => {
                drop(request.buffered());
                request.fail(Status::SUCCESS)
            }
            FILL => Self::fill(request),
            COPY => Self::copy(request, passive),
            _ => request.fail(Status::INVALID_DEVICE_REQUEST),
        }
    }

    fn transfer<'r>(
        &self,
        mut transfer: ReadWriteRequest<'r, String>,
        _: &mut Passive,
    ) -> Completion<'r> {
        let (offset, direction) = (transfer.offset(), transfer.direction());
        let moved = transfer.direct().and_then(|direct| match direction {
            Direction::Read if offset > 100 => Err(Status::END_OF_FILE),
            Direction::Read => direct.writer()?.write_bytes(b"read"),
            Direction::Write => {
                let mut bytes = [0; 2];
                direct.reader().read_bytes(&mut bytes)?;
                assert_eq!(bytes, [5; 2]);
                Ok(())
            }
        });
        match moved {
            Ok(()) => transfer.succeed(),
            Err(status) => transfer.fail(status),
        }
    }

    fn cleanup(&self, _: &String, id: FileId, passive: &mut Passive) {
        while let Some(waiting) = self.waiting.remove_next_of_file(id, passive) {
            drop(waiting);
        }
    }
}

/// Runs `work` with the device open.
fn with_device(work: impl FnOnce(&Kernel, &Handle)) {
    let kernel = Kernel::boot();
    let driver = load(&kernel, |context, passive| {
        Subject::create(context, passive).map_err(|error| error.status())
    });
    let driver = driver.expect("the driver starts");
    let handle = Handle::open(r"\DosDevices\Test").expect("the device can be opened");
    work(&kernel, &handle);
    drop(handle);
    driver.unload();
}

fn code(status: Status) -> i32 {
    status.raw()
}

#[test]
fn buffered_request_returns_written_bytes_only() {
    with_device(|_, handle| {
        let (status, information, output) = handle.control(REVERSE, &[1, 2, 3, 4], 64);
        assert_eq!((status, information), (0, 4));
        assert_eq!(output, [4, 3, 2, 1]);
        let (status, _, output) = handle.control(REVERSE, &[1, 2, 3, 4], 3);
        assert_eq!(status, code(Status::BUFFER_TOO_SMALL));
        assert!(output.is_empty());
        let (status, ..) = handle.control(REVERSE, &[1], 4);
        assert_eq!(status, code(Status::INFO_LENGTH_MISMATCH));
        let (status, ..) = handle.control(REVERSE, &[], 0);
        assert_eq!(status, code(Status::INFO_LENGTH_MISMATCH));
        let (status, ..) = handle.control(FORGET, &[], 9);
        assert_eq!(status, code(Status::UNSUCCESSFUL));
    });
}

#[test]
fn direct_request_reads_and_writes() {
    with_device(|_, handle| {
        let mut memory = [0; 50];
        let (status, information, _) = handle.control_direct(FILL, &[], &mut memory);
        assert_eq!((status, information), (0, 50));
        assert!(memory.iter().all(|&byte| byte == 7));
        let (status, information, _) = handle.control_direct(SUM, &[], &mut [1, 2, 3, 4]);
        assert_eq!((status, information), (0, 4));
        let (status, information, _) = handle.control_direct(FILL, &[], &mut []);
        assert_eq!((status, information), (0, 0));
        let mut bytes = [0; 6];
        let (status, information, _) = handle.transfer(true, 0, &mut bytes);
        assert_eq!((status, information, &bytes[..4]), (0, 4, &b"read"[..]));
        let (status, ..) = handle.transfer(true, 101, &mut bytes);
        assert_eq!(status, code(Status::END_OF_FILE));
        let (status, information, _) = handle.transfer(false, 0, &mut [5; 3]);
        assert_eq!((status, information), (0, 2));
    });
}

#[test]
fn neither_request_copies_or_fails() {
    with_device(|kernel, handle| {
        let mut input = 0x1234_u32.to_ne_bytes();
        let mut output = [0; 8];
        let (status, information, _) = kernel.with_user_memory(&mut input, |from| {
            kernel.with_user_memory(&mut output, |to| {
                handle.control_neither(COPY, (from, 4), (to, 8))
            })
        });
        assert_eq!((status, information), (0, 4));
        assert_eq!(output[..4], 0x1234_u32.to_be_bytes());
        let (status, ..) = handle.control_neither(COPY, (0x1_0000, 4), (0x2_0000, 4));
        assert_eq!(status, code(Status::ACCESS_VIOLATION));
        let (status, ..) = handle.control_neither(COPY, (usize::MAX - 1, 4), (0x2_0000, 4));
        assert_eq!(status, code(Status::ACCESS_VIOLATION));
    });
}

#[test]
fn neither_request_in_other_process_is_not_supported() {
    with_device(|kernel, handle| {
        let mut input = 0x1234_u32.to_ne_bytes();
        let mut output = [0; 8];
        let (status, information, _) = kernel.with_user_memory(&mut input, |from| {
            kernel.with_user_memory(&mut output, |to| {
                handle.pass_on_neither(COPY, (from, 4), (to, 8))
            })
        });
        assert_eq!((status, information), (code(Status::NOT_SUPPORTED), 0));
        assert_eq!(output, [0; 8]);
    });
}

#[test]
fn pending_request_is_completed_cancelled_or_cleaned_up() {
    with_device(|_, handle| {
        let waiting = handle.send(WAIT, &[], 3);
        assert_eq!(waiting.status(), code(Status::PENDING));
        assert_eq!(handle.control(TAKE, &[], 1).2, [1]);
        assert_eq!(waiting.wait(), (0, 3, vec![1, 2, 3]));
        assert_eq!(handle.control(TAKE, &[], 1).0, code(Status::NOT_FOUND));

        let waiting = handle.send(WAIT, &[], 3);
        waiting.cancel();
        waiting.cancel();
        assert_eq!(waiting.wait().0, code(Status::CANCELLED));

        let other = Handle::open(r"\DosDevices\Test").expect("the device can be opened");
        let kept = handle.send(WAIT, &[], 3);
        let ended = other.send(WAIT, &[], 3);
        drop(other);
        assert_eq!(ended.wait().0, code(Status::CANCELLED));
        kept.cancel();
        assert_eq!(kept.wait().0, code(Status::CANCELLED));
    });
}

#[test]
fn deleted_device_refuses_requests_and_closes_files() {
    let kernel = Kernel::boot();
    let device = std::sync::Arc::new(std::sync::Mutex::new(None));
    let kept = device.clone();
    let driver = load(&kernel, move |context, passive| {
        let made = Subject::create(context, passive).map_err(|error| error.status())?;
        *kept.lock().expect("nobody has panicked") = Some(made);
        Ok(())
    });
    let driver = driver.expect("the driver starts");
    let handle = Handle::open(r"\DosDevices\Test").expect("the device can be opened");
    drop(device.lock().expect("nobody has panicked").take());
    let (status, ..) = handle.control(REVERSE, &[1, 2, 3, 4], 4);
    assert_eq!(status, code(Status::DELETE_PENDING));
    assert!(Handle::open(r"\DosDevices\Test").is_err());
    drop(handle);
    driver.unload();
}
