use std::cell::{Cell, RefCell};

use ntbox_host::driver_mem;

use super::helper::*;
use crate::cm::callback_exports::{
    CmGetCallbackVersion, CmRegisterCallback, CmRegisterCallbackEx, CmUnRegisterCallback,
};
use crate::cm::context::CmSetCallbackObjectContext;
use crate::cm::key_id::{
    CmCallbackGetKeyObjectID, CmCallbackGetKeyObjectIDEx, CmCallbackReleaseKeyObjectIDEx,
    CmGetBoundTransaction,
};
use crate::cm::notify_class::Notice;
use crate::cm::{notify_class, nt_key};
use crate::ob::handles;
use crate::test_support::{address_mut, processor, status, value};
use crate::{cm, ob, test_support};

const COLLISION: u32 = nt_status::STATUS_FLT_INSTANCE_ALTITUDE_COLLISION;

thread_local! {
    /// Context and class of each notification.
    static HEARD: RefCell<Vec<(u64, u32)>> = const { RefCell::new(Vec::new()) };
    /// What the callback with this context returns for this class.
    static ANSWER: Cell<(u64, u32, u32)> = const { Cell::new((0, u32::MAX, 0)) };
    /// Where in the structure of that class this is written.
    static WRITE: Cell<Option<(u64, u32)>> = const { Cell::new(None) };
}

/// The driver's callback: it leaves its own context for afterwards.
extern "win64" fn callback(context: u64, class: u64, information: u64) -> u32 {
    let class = u32::try_from(class).expect("a class");
    HEARD.with_borrow_mut(|heard| heard.push((context, class)));
    if class == notify_class::DELETE_KEY.before {
        driver_mem::write_u64(information + 8, context).expect("CallContext");
    }
    if class == notify_class::DELETE_KEY.after {
        assert_eq!(driver_mem::read_u64(information + 0x20), Ok(context));
    }
    let (who, when, what) = ANSWER.get();
    if (who, when) != (context, class) {
        return 0;
    }
    if let Some((offset, number)) = WRITE.get() {
        driver_mem::write_u32(information + offset, number).expect("it is ours");
    }
    what
}

fn at() -> u64 {
    callback as *const () as u64
}

fn heard() -> Vec<(u64, u32)> {
    HEARD.take()
}

fn register(altitude: &str, context: u64) -> Result<u64, u32> {
    processor();
    let mut cookie = 0_u64;
    let text = Text::new(altitude);
    let arguments = [at(), text.at(), 0, context, address_mut(&mut cookie), 0];
    match status(CmRegisterCallbackEx, &arguments) {
        0 => Ok(cookie),
        status => Err(status),
    }
}

fn unregister(cookie: u64) {
    assert_eq!(status(CmUnRegisterCallback, &[cookie]), 0);
}

fn delete(key: u64) -> u32 {
    status(nt_key::ZwDeleteKey, &[key])
}

/// A key of its own below that of a service.
fn fresh(name: &str) -> u64 {
    let above = service(name, &[]);
    let (key, _) = create(&Object::below(above, "Key"), 0).expect("it is new");
    close(above);
    key
}

fn object_of(handle: u64) -> u64 {
    handles::get(handle).expect("it is open").object
}

#[test]
fn callbacks_run_by_altitude_and_collide_on_equal() {
    let key = fresh("cm-order");
    let low = register("100", 1).expect("nobody is there");
    let high = register("2000", 3).expect("nobody is there");
    let middle = register("0200.5", 2).expect("nobody is there");
    assert_eq!(register("200.50", 9), Err(COLLISION));
    assert_eq!(delete(key), 0);
    let Notice { before, after } = notify_class::DELETE_KEY;
    let down = [(3, before), (2, before), (1, before)];
    let up = [(1, after), (2, after), (3, after)];
    assert_eq!(heard(), [down, up].concat());
    for cookie in [low, high, middle] {
        unregister(cookie);
    }
    assert_eq!(
        status(CmUnRegisterCallback, &[middle]),
        nt_status::STATUS_INVALID_PARAMETER
    );
    close(key);
    assert!(heard().is_empty());
}

#[test]
fn callback_without_altitude_runs_near_the_top() {
    let key = fresh("cm-legacy");
    let mut cookies = [0_u64; 2];
    for (n, cookie) in cookies.iter_mut().enumerate() {
        let arguments = [at(), n as u64 + 1, address_mut(cookie)];
        assert_eq!(status(CmRegisterCallback, &arguments), 0);
    }
    let below = register("424999", 3).expect("nobody is there");
    assert_eq!(delete(key), 0);
    let order: Vec<_> = heard().into_iter().map(|(who, _)| who).collect();
    assert_eq!(order, [1, 2, 3, 3, 2, 1]);
    for cookie in [cookies[0], cookies[1], below] {
        unregister(cookie);
    }
    close(key);
}

#[test]
fn callback_blocks_completes_or_changes_operation() {
    let key = fresh("cm-verdicts");
    let high = register("300", 2).expect("nobody is there");
    let low = register("200", 1).expect("nobody is there");
    let Notice { before, after } = notify_class::DELETE_KEY;
    ANSWER.set((2, before, nt_status::STATUS_ACCESS_DENIED));
    assert_eq!(delete(key), nt_status::STATUS_ACCESS_DENIED);
    assert_eq!(heard(), [(2, before)]);
    ANSWER.set((1, before, nt_status::STATUS_CALLBACK_BYPASS));
    assert_eq!(delete(key), 0, "one of them is said to have done it");
    assert_eq!(heard(), [(2, before), (1, before), (2, after)]);
    // Status and return value of one that has gone well.
    ANSWER.set((1, after, nt_status::STATUS_CALLBACK_BYPASS));
    WRITE.set(Some((0x18, nt_status::STATUS_CANNOT_DELETE)));
    assert_eq!(delete(key), nt_status::STATUS_CANNOT_DELETE);
    ANSWER.set((1, after, nt_status::STATUS_UNSUCCESSFUL));
    assert_eq!(
        delete(key),
        0,
        "it was deleted, and afterwards only one status counts"
    );
    unregister(low);
    unregister(high);
    close(key);
}

#[test]
fn callback_gets_open_and_close() {
    let path = seed("cm-open", &[]);
    let cookie = register("300", 1).expect("nobody is there");
    let key = open(&Object::new(&path)).expect("it was just made");
    close(key);
    let (opened, closed) = (notify_class::OPEN_KEY, notify_class::CLOSE_KEY);
    let one = |notice: Notice| [(1, notice.before), (1, notice.after)];
    assert_eq!(heard(), [one(opened), one(closed)].concat());
    ANSWER.set((1, opened.before, nt_status::STATUS_ACCESS_DENIED));
    assert_eq!(
        open(&Object::new(&path)),
        Err(nt_status::STATUS_ACCESS_DENIED)
    );
    ANSWER.set((1, opened.before, nt_status::STATUS_CALLBACK_BYPASS));
    assert_eq!(
        open(&Object::new(&path)),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
        "nothing was handed over"
    );
    unregister(cookie);
}

#[test]
fn callback_gets_each_open_through_link() {
    seed("cm-link", &[]);
    let cookie = register("300", 1).expect("nobody is there");
    let path = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\cm-link";
    let key = open(&Object::new(path)).expect("it was just made");
    let Notice { before, after } = notify_class::OPEN_KEY;
    assert_eq!(heard(), [(1, before), (1, after), (1, before), (1, after)]);
    unregister(cookie);
    close(key);
}

#[test]
fn callback_context_is_per_object_and_cleaned_up() {
    let (one, other) = (fresh("cm-context"), fresh("cm-context-other"));
    let mut cookie = register("300", 1).expect("nobody is there");
    let at_cookie = address_mut(&mut cookie);
    let mut old = 7_u64;
    let old_at = address_mut(&mut old);
    let object = object_of(one);
    let set = |object, context, old| {
        status(
            CmSetCallbackObjectContext,
            &[object, at_cookie, context, old],
        )
    };
    assert_eq!(set(object, 0x10, old_at), 0);
    assert_eq!(old, 0);
    assert_eq!(set(object, 0x20, old_at), 0);
    assert_eq!(old, 0x10);
    assert_eq!(set(object_of(other), 0x30, 0), 0);
    assert_eq!(set(at(), 1, 0), nt_status::STATUS_INVALID_PARAMETER);
    let mut wrong = 5_u64;
    assert_eq!(
        status(
            CmSetCallbackObjectContext,
            &[object, address_mut(&mut wrong), 1, 0]
        ),
        nt_status::STATUS_INVALID_PARAMETER
    );
    close(one);
    let Notice { before, after } = notify_class::CLOSE_KEY;
    assert_eq!(
        heard(),
        [(1, before), (1, notify_class::CONTEXT_CLEANUP), (1, after)]
    );
    unregister(cookie);
    assert_eq!(heard(), [(1, notify_class::CONTEXT_CLEANUP)]);
    close(other);
    assert!(heard().is_empty());
}

#[test]
fn callback_object_id_and_name_identify_key() {
    let path = seed("cm-ids", &[]);
    let (one, two) = (
        open(&Object::new(&path)).expect("it was just made"),
        open(&Object::new(&path)).expect("it was just made"),
    );
    let (first, second) = (object_of(one), object_of(two));
    let mut cookie = register("300", 1).expect("nobody is there");
    let at_cookie = address_mut(&mut cookie);
    let mut out = [0_u64; 2];
    let (id, name) = (address_mut(&mut out[0]), address_mut(&mut out[1]));
    let text =
        |at: u64| driver_mem::UnicodeString::read(at).and_then(driver_mem::UnicodeString::text);
    assert_eq!(
        status(CmCallbackGetKeyObjectID, &[at_cookie, first, id, name]),
        0
    );
    let [number, lasting] = out;
    assert_ne!(number, 0);
    assert_eq!(text(lasting).as_deref(), Ok(path.as_str()));
    assert_eq!(
        status(CmCallbackGetKeyObjectID, &[at_cookie, first, 0, name]),
        0
    );
    assert_eq!(out[1], lasting, "there is one for each object");
    assert_eq!(
        status(
            CmCallbackGetKeyObjectIDEx,
            &[at_cookie, second, id, name, 0]
        ),
        0
    );
    assert_eq!(out[0], number, "it is the same key");
    assert_eq!(text(out[1]).as_deref(), Ok(path.as_str()));
    value(CmCallbackReleaseKeyObjectIDEx, &[out[1]]);
    let invalid = nt_status::STATUS_INVALID_PARAMETER;
    assert_eq!(
        status(CmCallbackGetKeyObjectIDEx, &[at_cookie, first, id, 0, 1]),
        invalid
    );
    assert_eq!(
        status(CmCallbackGetKeyObjectID, &[0, first, id, 0]),
        invalid
    );
    assert_eq!(
        status(CmCallbackGetKeyObjectID, &[at_cookie, at(), id, 0]),
        invalid
    );
    assert_eq!(value(CmGetBoundTransaction, &[at_cookie, first]), 0);
    unregister(cookie);
    close(one);
    close(two);
    assert_eq!(ob::inspect(first, |_| ()), None);
}

#[test]
fn get_callback_version_is_1_1() {
    let mut version = [9_u32; 2];
    let at = address_mut(&mut version);
    value(CmGetCallbackVersion, &[at, at + 4]);
    assert_eq!(version, [1, 1]);
    value(CmGetCallbackVersion, &[0, 0]);
}

#[test]
fn leaks_lists_registered_callback() {
    register("300", 1).expect("nobody is there");
    let [leak] = cm::callback_exports::leaks()
        .try_into()
        .expect("one callback");
    assert_eq!(leak.return_address, test_support::CALLER);
    assert!(
        leak.message.contains(&format!("{:#018x}", at())),
        "{leak:?}"
    );
    assert!(!cm::any());
}
