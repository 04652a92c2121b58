//! Each call that can fail fails once, in a driver that uses nearly everything: it
//! neither leaks nor frees twice, and whoever asked hears of it.

use core::alloc::Layout;

use wdk_sys::host::{Handle, Kernel, System};
use wdm::{
    Error, Status,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{CancelSafeQueue, Completion, ProcessorMode, Request, Requestor},
    irql::Passive,
    list::{DoubleLinks, InterlockedList, List, SList, SListLinks},
    lookaside::{LookasideList, PoolAllocator},
    map::CacheType,
    mdl::Mdl,
    pool::{NonpagedBlock, PagedBox, PoolBox, PoolSlice, PoolTag, PoolVec, UnicodeBuffer, legacy},
    process::Process,
    sync::{Event, EventKind, FastMutex, GuardedMutex, RemoveLock},
    user_map::{Access, UserMappingTable},
    utf16,
};
use wdm_host::{TAG, load};

struct Entry {
    _text: String,
    double: DoubleLinks,
    atomic: SListLinks,
}

wdm::linked!(Entry, double: DoubleLinks);
wdm::linked!(Entry, atomic: SListLinks);

impl Entry {
    fn new() -> wdm::Result<PoolBox<Self>> {
        let entry = Self {
            _text: String::from("entry"),
            double: DoubleLinks::new(),
            atomic: SListLinks::new(),
        };
        PoolBox::new(entry, TAG).map_err(|rejected| rejected.error)
    }
}

struct Subject {
    _waiting: CancelSafeQueue,
}

impl Device for Subject {
    const TAG: PoolTag = TAG;
    type File = String;

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<String, Status> {
        Ok(String::from("file"))
    }

    fn control<'r>(&self, request: Request<'r, String>, _: &mut Passive) -> Completion<'r> {
        request.reply(&[1_u8])
    }
}

const NAMES: DeviceNames = DeviceNames {
    device: utf16!(r"\Device\Fails"),
    link: utf16!(r"\DosDevices\Fails"),
};

/// A page, for an MDL.
fn page() -> wdm::Result<NonpagedBlock> {
    NonpagedBlock::zeroed(Layout::new::<[u8; 4096]>(), TAG)
}

fn containers(passive: &mut Passive) -> wdm::Result<()> {
    let mut texts = PoolVec::<String>::new(TAG);
    for number in 0..6 {
        texts
            .push(number.to_string())
            .map_err(|rejected| rejected.error)?;
    }
    let _slice = PoolSlice::from_fn(3, TAG, |index| index.to_string())?;
    let text = String::from("paged");
    let _paged = PagedBox::new(text, TAG, passive).map_err(|rejected| rejected.error)?;
    let _old = legacy::allocate_with_quota(legacy::Pool::Nonpaged, 8, passive)?;
    UnicodeBuffer::new(TAG).push_str("text")?;
    Ok(())
}

fn lists(passive: &mut Passive) -> wdm::Result<()> {
    let mut list = List::new(TAG)?;
    let locked = InterlockedList::new(TAG)?;
    let atomic = SList::new(TAG)?;
    for _ in 0..2 {
        list.push_back(Entry::new()?);
        locked.push_back(Entry::new()?);
        atomic.push(Entry::new()?);
    }
    let lookaside = LookasideList::<String>::new(TAG, PoolAllocator, passive)?;
    let _text = lookaside
        .allocate(String::from("text"))
        .map_err(|rejected| rejected.error)?;
    Ok(())
}

fn locks(passive: &mut Passive) -> wdm::Result<()> {
    let _mutex = FastMutex::new(String::from("fast"), TAG)?;
    let _guarded = GuardedMutex::new(String::from("guarded"), TAG)?;
    let _event = Event::new(EventKind::Notification, true, TAG)?;
    let _lock = RemoveLock::new(TAG, passive)?;
    let _process = Process::current();
    Ok(())
}

fn descriptors(_: &mut Passive) -> wdm::Result<()> {
    let mdl = Mdl::allocate(page()?).map_err(|rejected| rejected.error)?;
    let mdl = mdl.lock().map_err(|rejected| rejected.error)?;
    {
        let mapping = mdl.map(CacheType::Cached)?;
        // Not all of it: in Miri each byte takes its time.
        assert_eq!(mapping.memory().copy_from(&[1; 8]), 8);
        assert!(mdl.map(CacheType::Cached).is_err());
    }
    assert_eq!(mdl.frames().count(), 1);
    let block = mdl.unlock().free();
    assert_eq!(block.memory().count_equal(&[1; 8]), 8);
    let mdl = Mdl::allocate(block).map_err(|rejected| rejected.error)?;
    let mdl = mdl.build_for_nonpaged_pool();
    assert_eq!(mdl.system_address()?.copy_from(&[2; 8]), 8);
    Ok(())
}

/// A device that maps pages into the program that asks.
struct Mapper;

impl Device for Mapper {
    const TAG: PoolTag = TAG;
    type File = ();

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
        Ok(())
    }

    fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        let mapped = request
            .user_requestor()
            .and_then(|program| user_mappings(&program, passive).map_err(|error| error.status()));
        match mapped {
            Ok(()) => request.succeed(),
            Err(status) => request.fail(status),
        }
    }
}

fn user_mappings(program: &Requestor<'_>, passive: &mut Passive) -> wdm::Result<()> {
    let mappings = UserMappingTable::<2>::new(TAG, passive)?;
    let address = mappings.map(1, page()?, Access::ReadWrite, program, passive);
    let address = address.map_err(|rejected| rejected.error)?;
    assert!(mappings.unmap(1, address, passive));
    let kept = mappings.map(2, page()?, Access::ReadWrite, program, passive);
    kept.map_err(|rejected| rejected.error)?;
    Ok(())
}

fn device(context: &Context<'_>, passive: &mut Passive) -> wdm::Result<ControlDevice<Subject>> {
    let subject = Subject {
        _waiting: CancelSafeQueue::new(TAG)?,
    };
    ControlDevice::create(context, NAMES, subject, passive)
}

/// Runs a part in a driver, once for each call that can fail; says how many there are.
fn fail_each(part: fn(&mut Passive) -> wdm::Result<()>) -> usize {
    let systems = [System::Windows7, System::Windows11];
    let of_system = |system| {
        let goes_well = |number| {
            let kernel = Kernel::boot_as(system);
            kernel.fail_call(number);
            let started = load(&kernel, move |_, passive| {
                part(passive).map_err(|error: Error| error.status())
            });
            assert_eq!(started.is_err(), kernel.has_failed());
            if let Ok(driver) = started {
                driver.unload();
            }
            !kernel.has_failed()
        };
        (0..1000).find(|&number| goes_well(number)).unwrap_or(0)
    };
    systems.map(of_system).iter().sum()
}

#[test]
fn containers_survive_each_failure() {
    assert!(fail_each(containers) > 8);
}

#[test]
fn lists_survive_each_failure() {
    assert!(fail_each(lists) > 20);
}

#[test]
fn locks_survive_each_failure() {
    assert_eq!(fail_each(locks), 8);
}

#[test]
fn descriptors_survive_each_failure() {
    assert!(fail_each(descriptors) >= 10);
}

#[test]
fn user_mappings_survive_each_failure() {
    let goes_well = |number| {
        let kernel = Kernel::boot();
        let started = load(&kernel, |context, passive| {
            ControlDevice::create(context, NAMES, Mapper, passive).map_err(|error| error.status())
        });
        let driver = started.expect("nothing fails yet");
        let handle = Handle::open(r"\DosDevices\Fails").expect("nothing fails yet");
        kernel.fail_call(number);
        let (status, ..) = handle.control(0x22_2000, &[], 0);
        assert_eq!(status != 0, kernel.has_failed());
        drop(handle);
        driver.unload();
        !kernel.has_failed()
    };
    let calls = (0..1000).find(|&number| goes_well(number));
    assert!(calls.is_some_and(|calls| calls > 5), "{calls:?}");
}

#[test]
fn device_survives_each_failure() {
    let goes_well = |number| {
        let kernel = Kernel::boot();
        kernel.fail_call(number);
        let started = load(&kernel, |context, passive| {
            device(context, passive).map_err(|error| error.status())
        });
        let Ok(driver) = started else {
            assert!(
                kernel.has_failed(),
                "it does not start although nothing failed"
            );
            return false;
        };
        match Handle::open(r"\DosDevices\Fails") {
            Ok(handle) => assert_eq!(handle.control(0x22_2000, &[], 1).2, [1]),
            Err(_) => assert!(
                kernel.has_failed(),
                "it is not opened although nothing failed"
            ),
        }
        driver.unload();
        !kernel.has_failed()
    };
    let calls = (0..1000).find(|&number| goes_well(number));
    assert!(calls.is_some_and(|calls| calls > 6), "{calls:?}");
}
