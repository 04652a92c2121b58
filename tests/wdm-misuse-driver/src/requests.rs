//! Requests that want to report what they did not write, fetch what they have
//! judged again, end as pending, or wait for a file that nobody has open any more.

use wdm::{
    Result, Status,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{CancelSafeQueue, Completion, ProcessorMode, Request},
    irql::Passive,
    pool::PoolTag,
    sync::{Event, EventKind},
    utf16,
};

use crate::TAG;

pub struct Attempt {
    _device: ControlDevice<Shared>,
}

impl Attempt {
    pub fn new(context: &Context<'_>, passive: &mut Passive) -> Result<Self> {
        let names = DeviceNames {
            device: utf16!(r"\Device\Attempt"),
            link: utf16!(r"\DosDevices\Attempt"),
        };
        let device = Shared {
            waiting: CancelSafeQueue::new(TAG)?,
            go: Event::new(EventKind::Notification, false, TAG)?,
        };
        Ok(Self {
            _device: ControlDevice::create(context, names, device, passive)?,
        })
    }
}

struct Shared {
    waiting: CancelSafeQueue,
    go: Event,
}

impl Device for Shared {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, mut request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        let done = match request.code().raw() {
            // Writes all of the output.
            0x0022_2000 => request
                .buffered()
                .and_then(|mut buffer| buffer.write(&[0x41; 4000])),
            // Writes nothing of it, though the request before did.
            0x0022_2004 => Ok(()),
            // Writes all, and then less.
            0x0022_2008 => request.buffered().and_then(|mut buffer| {
                buffer.write(&[0x41; 4000])?;
                let mut writer = buffer.writer();
                writer.write_bytes(&[0x42; 3])?;
                writer.write_bytes(&[0x43; 4])
            }),
            // Ends a request that waits as pending.
            0x0022_200C => {
                let answer = request.pend(&self.waiting);
                if let Some(pended) = self.waiting.remove_next(passive) {
                    pended.fail(Status::PENDING);
                }
                return answer;
            }
            // Waits before it waits.
            0x0022_2010 => {
                self.go.wait(passive);
                return request.pend(&self.waiting);
            }
            0x0022_2014 => {
                self.go.set();
                Ok(())
            }
            // Asks for the caller's memory twice.
            0x0022_201B => fetch_twice(&mut request, passive),
            0x0022_201E => request
                .direct()
                .and_then(|direct| direct.write(&[0x44; 4]))
                .and_then(|()| request.direct())
                .map(drop),
            _ => Err(Status::INVALID_DEVICE_REQUEST),
        };
        match done {
            Ok(()) => request.succeed(),
            Err(status) => request.fail(status),
        }
    }
}

/// Reads four bytes of the caller's, and wants to read them again.
fn fetch_twice(request: &mut Request<'_>, passive: &Passive) -> Result<(), Status> {
    let _: u32 = request.neither()?.input.reader().read(passive)?;
    let _: u32 = request.neither()?.input.reader().read(passive)?;
    Ok(())
}
