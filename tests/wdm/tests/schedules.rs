//! What several threads do at once. Under Miri each test runs once for every seed, with
//! another schedule each time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use wdk_sys::host::{Handle, Kernel};
use wdm::{
    Status,
    device::{ControlDevice, Device, DeviceNames},
    irp::{CancelSafeQueue, Completion, FileId, ProcessorMode, Request},
    irql::Passive,
    list::{DoubleLinks, InterlockedList, InterlockedStack, SList, SListLinks, SingleLinks},
    lookaside::{LookasideList, PoolAllocator},
    pool::{PoolBox, PoolTag},
    process::{ProcessNotify, ProcessObserver},
    rundown::Rundown,
    sync::{Event, EventKind, FastMutex, GuardedMutex, RemoveLock, SpinLock},
    utf16,
};
use wdm_host::{TAG, boxed, in_driver, load, passive};

/// Runs `work` on so many threads, with their numbers.
fn on_threads(count: u32, work: impl Fn(u32) + Sync) {
    thread::scope(|scope| {
        for number in 0..count {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}

#[test]
fn rundown_waits_for_references_and_refuses_new_ones() {
    in_driver(|passive| {
        let rundown = Rundown::new();
        let held = AtomicUsize::new(0);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(reference) = rundown.acquire() {
                        assert!(!is_over.load(Ordering::SeqCst));
                        held.fetch_add(1, Ordering::SeqCst);
                        thread::yield_now();
                        held.fetch_sub(1, Ordering::SeqCst);
                        drop(reference);
                    }
                });
            }
            rundown.wait(passive);
            is_over.store(true, Ordering::SeqCst);
            assert_eq!(held.load(Ordering::SeqCst), 0);
        });
        assert!(rundown.acquire().is_none());
        rundown.wait(passive);
    });
}

#[test]
fn rundown_freed_after_wait_is_not_accessed() {
    in_driver(|_| {
        let rundown: PoolBox<Rundown> = boxed(Rundown::new());
        let address = core::ptr::from_ref(&*rundown).expose_provenance();
        let reference = rundown.acquire().expect("nobody waits yet");
        core::mem::forget(reference);
        thread::scope(|scope| {
            scope.spawn(move || {
                rundown.wait(&passive());
                drop(rundown);
            });
            scope.spawn(move || {
                let rundown = core::ptr::with_exposed_provenance::<Rundown>(address);
                // SAFETY: the reference that was forgotten keeps the value there until
                // it is given back, once, here: by dropping a value of its type, which
                // is a reference to the rundown.
                let reference: wdm::rundown::RundownGuard<'_> =
                    unsafe { core::mem::transmute(rundown) };
                drop(reference);
            });
        });
    });
}

#[test]
fn rundown_allows_two_waits() {
    in_driver(|_| {
        let rundown = Rundown::new();
        on_threads(3, |number| {
            if number == 0 {
                drop(rundown.acquire());
            } else {
                rundown.wait(&passive());
                assert!(rundown.acquire().is_none());
            }
        });
    });
}

#[test]
fn locks_are_exclusive() {
    in_driver(|kept| {
        let spin = SpinLock::new(0);
        let fast = FastMutex::new(0, TAG).expect("there is memory");
        let guarded = GuardedMutex::new(0, TAG).expect("there is memory");
        on_threads(3, |_| {
            let mut passive = passive();
            for _ in 0..3 {
                spin.with(&mut passive, |count, _| *count += 1);
                fast.with(&mut passive, |count, _| *count += 1);
                guarded.with(&mut passive, |count, _| *count += 1);
            }
        });
        assert_eq!(spin.with(kept, |count, _| *count), 9);
        assert_eq!(fast.with(kept, |count, _| *count), 9);
        assert_eq!(guarded.with(kept, |count, _| *count), 9);
    });
}

#[test]
fn event_orders_earlier_writes() {
    in_driver(|kept| {
        let written = SpinLock::new(0);
        let event = Event::new(EventKind::Synchronization, false, TAG).expect("there is memory");
        thread::scope(|scope| {
            scope.spawn(|| {
                written.with(&mut passive(), |value, _| *value = 7);
                event.set();
            });
            event.wait(kept);
            assert_eq!(written.with(kept, |value, _| *value), 7);
        });
        assert!(!event.is_set());
    });
}

#[test]
fn remove_lock_waits_for_its_users() {
    in_driver(|_| {
        let lock = RemoveLock::new(TAG, &passive()).expect("there is memory");
        let is_removed = AtomicBool::new(false);
        on_threads(3, |number| {
            let Ok(guard) = lock.acquire() else {
                assert_ne!(number, 0);
                return;
            };
            if number == 0 {
                assert!(guard.remove_and_wait(&passive()).is_ok());
                is_removed.store(true, Ordering::SeqCst);
            } else {
                thread::yield_now();
                assert!(!is_removed.load(Ordering::SeqCst));
                drop(guard);
            }
        });
        assert!(lock.acquire().is_err());
    });
}

struct Entry {
    _text: String,
    double: DoubleLinks,
    single: SingleLinks,
    atomic: SListLinks,
}

wdm::linked!(Entry, double: DoubleLinks);
wdm::linked!(Entry, single: SingleLinks);
wdm::linked!(Entry, atomic: SListLinks);

fn entry(number: u32) -> PoolBox<Entry> {
    boxed(Entry {
        _text: number.to_string(),
        double: DoubleLinks::new(),
        single: SingleLinks::new(),
        atomic: SListLinks::new(),
    })
}

#[test]
fn shared_lists_neither_lose_nor_duplicate() {
    in_driver(|_| {
        let list = InterlockedList::<Entry>::new(TAG).expect("there is memory");
        let stack = InterlockedStack::<Entry>::new(TAG).expect("there is memory");
        let atomic = SList::<Entry>::new(TAG).expect("there is memory");
        let taken = AtomicUsize::new(0);
        let count = |entry: Option<PoolBox<Entry>>| {
            taken.fetch_add(usize::from(entry.is_some()), Ordering::Relaxed);
        };
        on_threads(3, |number| {
            list.push_back(entry(number));
            stack.push(entry(number));
            atomic.push(entry(number));
            count(list.pop_front());
            count(stack.pop());
            count(atomic.pop());
            list.push_front(entry(number));
            for flushed in atomic.flush() {
                count(Some(flushed));
            }
        });
        while let Some(entry) = list.pop_front() {
            count(Some(entry));
        }
        assert!(stack.pop().is_none() && atomic.pop().is_none());
        assert_eq!(taken.load(Ordering::Relaxed), 12);
    });
}

#[test]
fn lookaside_list_is_shared_by_threads() {
    in_driver(|passive| {
        let list =
            LookasideList::<String>::new(TAG, PoolAllocator, passive).expect("there is memory");
        on_threads(3, |number| {
            for _ in 0..2 {
                let Ok(text) = list.allocate(number.to_string()) else {
                    panic!("there is memory");
                };
                assert_eq!(*text, number.to_string());
            }
        });
        assert_eq!(
            (
                list.statistics().total_allocates,
                list.statistics().total_frees
            ),
            (6, 6)
        );
    });
}

/// Counts the ends of processes, in memory that goes with it.
struct Ends(Arc<AtomicUsize>);

impl ProcessObserver for Ends {
    fn on_process_exit(&self, _: usize, _: &mut Passive) {
        thread::yield_now();
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn process_notify_dropped_during_process_exit() {
    let kernel = Kernel::boot();
    let ends = Arc::new(AtomicUsize::new(0));
    let told = ends.clone();
    let (kernel_ref, driver) = (&kernel, load(&kernel, |_, _| Ok(())));
    let watch = ProcessNotify::new(Ends(told), TAG, &mut passive()).expect("there is room");
    thread::scope(|scope| {
        for process in [8, 12] {
            scope.spawn(move || kernel_ref.end_process(process));
        }
        scope.spawn(move || drop(watch));
    });
    assert!(ends.load(Ordering::Relaxed) <= 2);
    driver.expect("the driver starts").unload();
}

const WAIT: u32 = 0x22_2000;

/// Lets requests wait, and looks at itself afterwards.
struct Waits(CancelSafeQueue);

impl Device for Waits {
    const TAG: PoolTag = TAG;
    type File = String;

    fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<String, Status> {
        Ok(String::from("file"))
    }

    fn control<'r>(&self, request: Request<'r, String>, _: &mut Passive) -> Completion<'r> {
        if request.code().raw() != WAIT {
            return request.fail(Status::INVALID_DEVICE_REQUEST);
        }
        assert_eq!(request.file(), "file");
        let answer = request.pend(&self.0);
        // Another thread may have completed the request and closed the file; the
        // device stays for as long as this runs.
        thread::yield_now();
        assert!(self.0.len(&mut passive()) <= 2);
        answer
    }

    fn cleanup(&self, _: &String, id: FileId, passive: &mut Passive) {
        while let Some(waiting) = self.0.remove_next_of_file(id, passive) {
            drop(waiting);
        }
    }
}

const NAMES: DeviceNames = DeviceNames {
    device: utf16!(r"\Device\Waits"),
    link: utf16!(r"\DosDevices\Waits"),
};

fn load_waits(kernel: &Kernel) -> wdk_sys::host::Driver {
    let driver = load(kernel, |context, passive| {
        let made = CancelSafeQueue::new(TAG)
            .and_then(|queue| ControlDevice::create(context, NAMES, Waits(queue), passive));
        made.map_err(|error| error.status())
    });
    driver.expect("the driver starts")
}

fn open() -> Handle {
    Handle::open(r"\DosDevices\Waits").expect("the device can be opened")
}

#[test]
fn request_cancelled_while_pended() {
    let kernel = Kernel::boot();
    let driver = load_waits(&kernel);
    let handle = open();
    on_threads(2, |_| {
        let sent = handle.send(WAIT, &[], 0);
        sent.cancel();
        assert_eq!(sent.wait().0, Status::CANCELLED.raw());
    });
    drop(handle);
    driver.unload();
}

#[test]
fn request_cancelled_during_cleanup() {
    let kernel = Kernel::boot();
    let driver = load_waits(&kernel);
    let handle = open();
    let sent = handle.send(WAIT, &[], 0);
    thread::scope(|scope| {
        scope.spawn(|| sent.cancel());
        scope.spawn(|| handle.close());
    });
    assert_eq!(sent.wait().0, Status::CANCELLED.raw());
    drop(handle);
    driver.unload();
}

#[test]
fn file_closed_while_request_is_pended() {
    let kernel = Kernel::boot();
    let driver = load_waits(&kernel);
    let handle = open();
    thread::scope(|scope| {
        let file = handle.look_up();
        let sent = scope.spawn(move || file.send(WAIT));
        scope.spawn(|| handle.close());
        let sent = sent.join().expect("it was sent");
        // Whether it waits when clean-up comes or wants to afterwards, it ends.
        assert_eq!(sent.wait().0, Status::CANCELLED.raw());
    });
    drop(handle);
    driver.unload();
}

#[test]
fn device_deleted_during_requests() {
    let kernel = Kernel::boot();
    let device = Arc::new(std::sync::Mutex::new(None));
    let kept = device.clone();
    let driver = load(&kernel, move |context, passive| {
        let made = CancelSafeQueue::new(TAG)
            .and_then(|queue| ControlDevice::create(context, NAMES, Waits(queue), passive));
        *kept.lock().expect("nobody has panicked") = made.ok();
        Ok(())
    });
    let handles = [open(), open()];
    thread::scope(|scope| {
        for handle in &handles {
            scope.spawn(|| {
                let (status, ..) = handle.control(0, &[], 0);
                let refused = Status::DELETE_PENDING.raw();
                assert!([refused, Status::INVALID_DEVICE_REQUEST.raw()].contains(&status));
            });
        }
        scope.spawn(|| drop(device.lock().expect("nobody has panicked").take()));
    });
    drop(handles);
    driver.expect("the driver starts").unload();
}
