//! A remove lock of which two requests want to remove the device at once.

use wdm::{
    Result, Status,
    debug::Level,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{Completion, ProcessorMode, Request},
    irql::Passive,
    pool::PoolTag,
    sync::{Event, EventKind, RemoveLock},
    time::Interval,
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
            lock: RemoveLock::new(TAG, passive)?,
            never: Event::new(EventKind::Notification, false, TAG)?,
        };
        Ok(Self {
            _device: ControlDevice::create(context, names, device, passive)?,
        })
    }
}

struct Shared {
    lock: RemoveLock,
    never: Event,
}

impl Device for Shared {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        let guard = match self.lock.acquire() {
            Ok(guard) => guard,
            Err(error) => return request.fail(error.status()),
        };
        if request.code().raw() == 0x0022_2000 {
            let _ = self.never.wait_for(Interval::from_millis(2000), passive);
            wdm::log!(Level::Error, "also removes");
        }
        match guard.remove_and_wait(passive) {
            Ok(()) => request.succeed(),
            Err(error) => request.fail(error.status()),
        }
    }
}
