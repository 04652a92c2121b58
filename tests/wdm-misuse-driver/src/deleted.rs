//! A device that is deleted while one of its requests waits, and another request
//! that is refused meanwhile: the device must stay until the first is done.

use wdm::{
    Result, Status,
    debug::Level,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{Completion, ProcessorMode, Request},
    irql::Passive,
    pool::PoolTag,
    sync::{Event, EventKind, SpinLock},
    time::Interval,
    utf16,
};

use crate::TAG;

/// The device that goes.
static GOING: SpinLock<Option<ControlDevice<Going>>> = SpinLock::new(None);

pub struct Attempt {
    staying: ControlDevice<Staying>,
}

impl Attempt {
    pub fn new(context: &Context<'_>, passive: &mut Passive) -> Result<Self> {
        let names = DeviceNames {
            device: utf16!(r"\Device\Attempt"),
            link: utf16!(r"\DosDevices\Attempt"),
        };
        let staying = ControlDevice::create(context, names, Staying, passive)?;
        let names = DeviceNames {
            device: utf16!(r"\Device\Going"),
            link: utf16!(r"\DosDevices\Going"),
        };
        let going = Going {
            mark: MARK,
            never: Event::new(EventKind::Notification, false, TAG)?,
        };
        let going = ControlDevice::create(context, names, going, passive)?;
        GOING.with(passive, |place, _| *place = Some(going));
        Ok(Self { staying })
    }

    pub fn end(self, passive: &mut Passive) {
        let going = GOING.with(passive, |place, _| place.take());
        drop(going);
        drop(self.staying);
    }
}

/// What is in the device while it is there.
const MARK: u32 = 0x600d;

struct Going {
    mark: u32,
    never: Event,
}

impl Drop for Going {
    fn drop(&mut self) {
        wdm::log!(Level::Error, "the device goes");
    }
}

impl Device for Going {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        let _ = self.never.wait_for(Interval::from_millis(3000), passive);
        wdm::log!(Level::Error, "the device is there: {}", self.mark == MARK);
        request.succeed()
    }
}

struct Staying;

impl Device for Staying {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        let going = GOING.with(passive, |place, _| place.take());
        drop(going);
        request.succeed()
    }
}
