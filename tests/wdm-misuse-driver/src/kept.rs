//! What is registered with the kernel and never dropped, or dropped where nothing
//! can be undone: it must be gone before the image is.

use wdm::{
    Error, Result, Status,
    debug::Level,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{Completion, ProcessorMode, Request},
    irql::Passive,
    pool::PoolTag,
    process::{ProcessNotify, ProcessObserver},
    sync::SpinLock,
    utf16,
};

use crate::TAG;

static WATCH: SpinLock<Option<ProcessNotify<TestObserver>>> = SpinLock::new(None);
static DEVICE: SpinLock<Option<ControlDevice<Opened>>> = SpinLock::new(None);

/// What is done with what is registered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Forgotten as the driver stops.
    Forgotten,
    /// Dropped under a spin lock as the driver stops.
    UnderLock,
    /// Dropped at a raised level as the driver stops.
    Raised,
    /// Left in a static.
    Static,
    /// Left in a static, and the start fails.
    StaticAndFailed,
}

pub struct Attempt {
    kind: Kind,
    watch: Option<ProcessNotify<TestObserver>>,
    device: Option<ControlDevice<Opened>>,
}

impl Attempt {
    /// The attempt with a number from 0 on.
    pub fn new(number: u32, context: &Context<'_>, passive: &mut Passive) -> Result<Self> {
        let kinds = [
            Kind::Forgotten,
            Kind::UnderLock,
            Kind::Raised,
            Kind::Static,
            Kind::StaticAndFailed,
        ];
        let wrong = Error::new("none", Status::INVALID_PARAMETER);
        let mut kinds = kinds.into_iter().skip(usize::try_from(number).unwrap_or(9));
        let kind = kinds.next().ok_or(wrong)?;
        let watch = ProcessNotify::new(TestObserver, TAG, passive)?;
        let names = DeviceNames {
            device: utf16!(r"\Device\Attempt"),
            link: utf16!(r"\DosDevices\Attempt"),
        };
        let device = ControlDevice::create(context, names, Opened, passive)?;
        let mut attempt = Self {
            kind,
            watch: Some(watch),
            device: Some(device),
        };
        if kind != Kind::Forgotten && kind != Kind::Raised {
            WATCH.with(passive, |place, _| *place = attempt.watch.take());
            DEVICE.with(passive, |place, _| *place = attempt.device.take());
        }
        if kind == Kind::StaticAndFailed {
            return Err(wrong);
        }
        Ok(attempt)
    }

    pub fn end(self, passive: &mut Passive) {
        match self.kind {
            Kind::Forgotten => core::mem::forget((self.watch, self.device)),
            Kind::UnderLock => {
                WATCH.with(passive, |place, _| *place = None);
                DEVICE.with(passive, |place, _| *place = None);
            }
            Kind::Raised => passive.raise_to_dispatch(|_| drop((self.watch, self.device))),
            Kind::Static | Kind::StaticAndFailed => {}
        }
    }
}

struct TestObserver;

impl ProcessObserver for TestObserver {
    fn on_process_exit(&self, _: usize, _: &mut Passive) {
        wdm::log!(Level::Error, "a process ends");
    }
}

impl Drop for TestObserver {
    /// Whoever is dropped last finds the others gone, and not in its way.
    fn drop(&mut self) {
        wdm::log!(Level::Error, "the observer goes");
    }
}

struct Opened;

impl Drop for Opened {
    fn drop(&mut self) {
        wdm::log!(Level::Error, "the device goes");
    }
}

impl Device for Opened {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, request: Request<'r>, _: &mut Passive) -> Completion<'r> {
        request.succeed()
    }
}
