//! A rundown that is asked for while somebody waits for its end: who is refused
//! must not give back a reference that it never had, for then the wait ends while
//! another one still uses the thing.

use wdm::{
    Result, Status,
    debug::Level,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{Completion, ProcessorMode, Request},
    irql::Passive,
    pool::PoolTag,
    rundown::Rundown,
    sync::{Event, EventKind},
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
            rundown: Rundown::new(),
            never: Event::new(EventKind::Notification, false, TAG)?,
        };
        Ok(Self {
            _device: ControlDevice::create(context, names, device, passive)?,
        })
    }
}

struct Shared {
    rundown: Rundown,
    /// What the holder waits for, for a while.
    never: Event,
}

impl Device for Shared {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        match request.code().raw() {
            0x0022_2000 => {
                let held = self.rundown.acquire();
                wdm::log!(Level::Error, "holder: {}", held.is_some());
                let _ = self.never.wait_for(Interval::from_millis(2000), passive);
                wdm::log!(Level::Error, "holder lets go");
                drop(held);
            }
            0x0022_2004 => {
                self.rundown.wait(passive);
                wdm::log!(Level::Error, "nobody holds it");
            }
            _ => {
                let held = self.rundown.acquire();
                wdm::log!(Level::Error, "late: {}", held.is_some());
            }
        }
        request.succeed()
    }
}
