//! What has to be dropped at a low level, dropped at `DISPATCH_LEVEL`: it goes when
//! the next request comes, at a level at which it may.

use core::alloc::Layout;

use wdm::{
    Result, Status,
    debug::Level,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{CancelSafeQueue, Completion, ProcessorMode, Request},
    irql::{Irql, Passive},
    lookaside::{PagedLookasideList, PoolAllocator},
    memory::PAGE_SIZE,
    pool::{
        NonpagedBlock, PagedBox, PagedVec, PoolTag, PoolUsage,
        legacy::{self, Pool},
    },
    process::{ProcessNotify, ProcessObserver},
    registry::Key,
    string::UnicodeStr,
    sync::SpinLock,
    user_map::{Access, UserMappingTable},
    utf16,
};

use crate::TAG;

const SOFTWARE: UnicodeStr<'static> = utf16!(r"\Registry\Machine");

/// Devices that requests drop.
static OTHERS: SpinLock<Option<ControlDevice<Other>>> = SpinLock::new(None);

pub struct Attempt {
    _device: ControlDevice<Dropper>,
}

impl Attempt {
    pub fn new(context: &Context<'_>, passive: &mut Passive) -> Result<Self> {
        let names = DeviceNames {
            device: utf16!(r"\Device\Other"),
            link: utf16!(r"\DosDevices\Other"),
        };
        let other = ControlDevice::create(context, names, Other(Noisy("device")), passive)?;
        OTHERS.with(passive, |place, _| *place = Some(other));
        let names = DeviceNames {
            device: utf16!(r"\Device\Attempt"),
            link: utf16!(r"\DosDevices\Attempt"),
        };
        let device = Dropper {
            queue: SpinLock::new(Some(CancelSafeQueue::new(TAG)?)),
            views: SpinLock::new(None),
        };
        Ok(Self {
            _device: ControlDevice::create(context, names, device, passive)?,
        })
    }
}

/// Says when it is dropped, and at which level.
struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        let level = Irql::current();
        wdm::log!(Level::Error, "{} dropped at {level}", self.0);
    }
}

struct Dropper {
    queue: SpinLock<Option<CancelSafeQueue>>,
    views: SpinLock<Option<UserMappingTable<4>>>,
}

impl Device for Dropper {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        let dropped = match request.code().raw() {
            0x22_2000 => {
                wdm::log!(Level::Error, "holds {}", PoolUsage::current().outstanding());
                Ok(())
            }
            0x22_2004 => boxed(passive),
            0x22_2008 => array(passive),
            0x22_200C => lookaside(passive),
            0x22_2010 => old_block(passive),
            0x22_2014 => key(passive),
            0x22_2018 => watch(passive),
            0x22_201C => self.map(&request, passive),
            0x22_2020 => {
                self.views.with(passive, |views, _| *views = None);
                Ok(())
            }
            0x22_2024 => return self.pend(request, passive),
            0x22_2028 => {
                self.queue.with(passive, |queue, _| *queue = None);
                Ok(())
            }
            0x22_202C => {
                OTHERS.with(passive, |place, _| *place = None);
                Ok(())
            }
            _ => Err(Status::INVALID_DEVICE_REQUEST),
        };
        match dropped {
            Ok(()) => request.succeed(),
            Err(status) => request.fail(status),
        }
    }
}

/// The status of what went wrong.
fn status(error: wdm::Error) -> Status {
    error.status()
}

fn boxed(passive: &mut Passive) -> Result<(), Status> {
    let boxed = PagedBox::new(Noisy("box"), TAG, passive);
    let boxed = boxed.map_err(|rejected| rejected.error.status())?;
    passive.raise_to_dispatch(|_| drop(boxed));
    Ok(())
}

fn array(passive: &mut Passive) -> Result<(), Status> {
    let mut array = PagedVec::new(TAG);
    let pushed = array.push(Noisy("array"), passive);
    pushed.map_err(|rejected| rejected.error.status())?;
    passive.raise_to_dispatch(|_| drop(array));
    Ok(())
}

fn lookaside(passive: &mut Passive) -> Result<(), Status> {
    let list = PagedLookasideList::<u64>::new(TAG, PoolAllocator, passive).map_err(status)?;
    drop(list.allocate(1, passive));
    passive.raise_to_dispatch(|_| drop(list));
    Ok(())
}

fn old_block(passive: &mut Passive) -> Result<(), Status> {
    let block = legacy::allocate_with_tag(Pool::Paged, 100, TAG, passive).map_err(status)?;
    passive.raise_to_dispatch(|_| drop(block));
    Ok(())
}

fn key(passive: &mut Passive) -> Result<(), Status> {
    let key = Key::open(SOFTWARE, passive).map_err(status)?;
    let key = key.ok_or(Status::NOT_FOUND)?;
    passive.raise_to_dispatch(|_| drop(key));
    Ok(())
}

fn watch(passive: &mut Passive) -> Result<(), Status> {
    let watch = ProcessNotify::new(TestObserver(Noisy("watch")), TAG, passive).map_err(status)?;
    passive.raise_to_dispatch(|_| drop(watch));
    Ok(())
}

impl Dropper {
    /// Maps a page into the program.
    fn map(&self, request: &Request<'_>, passive: &mut Passive) -> Result<(), Status> {
        let layout = Layout::from_size_align(PAGE_SIZE, PAGE_SIZE);
        let layout = layout.map_err(|_| Status::INVALID_PARAMETER)?;
        let block = NonpagedBlock::zeroed(layout, TAG).map_err(status)?;
        let views = UserMappingTable::new(TAG, passive).map_err(status)?;
        let program = request.user_requestor()?;
        views
            .map(1, block, Access::ReadWrite, &program, passive)
            .map_err(|rejected| rejected.error.status())?;
        self.views.with(passive, |place, _| *place = Some(views));
        Ok(())
    }

    fn pend<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        self.queue.with(passive, |queue, _| match queue {
            Some(queue) => request.pend(queue),
            None => request.fail(Status::NOT_FOUND),
        })
    }
}

struct TestObserver(#[expect(dead_code, reason = "it says when it is dropped")] Noisy);

impl ProcessObserver for TestObserver {
    fn on_process_exit(&self, _: usize, _: &mut Passive) {}
}

struct Other(#[expect(dead_code, reason = "it says when it is dropped")] Noisy);

impl Device for Other {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, request: Request<'r>, _: &mut Passive) -> Completion<'r> {
        request.succeed()
    }
}
