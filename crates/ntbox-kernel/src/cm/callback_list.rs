//! The callbacks that drivers have registered, in the order in which they hear of
//! an operation: from the highest altitude to the lowest.
//!
//! What a callback does to the registry itself is heard of by those below it
//! only, or no filter could use the registry that it filters.

use std::cmp::Reverse;

use ntbox_api::rules;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;
use ntbox_host::upcall::Purpose;

use crate::base::altitude::Altitude;
use crate::base::call_context::CallContext;
use crate::base::leak_check::Leak;
use crate::base::{clock, thread_table, utf16};
use crate::ke::sched;

/// Where those stand that have no altitude, one behind the other.
const LEGACY: &str = "425000";

/// A callback's position: altitude, then registration.
type CallbackOrder = (Reverse<Altitude>, u64);

/// A callback.
#[derive(Debug, Clone)]
pub struct Callback {
    place: CallbackOrder,
    /// What the driver knows it by.
    pub cookie: u64,
    /// The routine.
    pub function: u64,
    /// What the routine is passed.
    context: u64,
    /// Whether it was registered without an altitude.
    legacy: bool,
    /// Address that the call which registered it returns to.
    caller: u64,
    /// Calls in progress.
    running: u32,
    /// Whether it is being unregistered and hears of nothing new.
    ending: bool,
}

/// The parameters with which a driver registers a callback.
#[derive(Debug)]
pub struct CallbackParams {
    /// The routine.
    pub function: u64,
    /// What it is to be passed.
    pub context: u64,
    /// Its altitude; `None` for one registered in the old way.
    pub altitude: Option<Altitude>,
    /// Address that the registering call returns to.
    pub caller: u64,
}

#[derive(Debug, Default)]
struct State {
    /// In order.
    callbacks: Vec<Callback>,
    /// The last cookie.
    cookie: u64,
    /// The callbacks that run, each with its thread, the innermost last.
    inside: Vec<(u64, CallbackOrder)>,
}

static STATE: KernelCell<Option<State>> = KernelCell::new(None);

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(STATE.lock().get_or_insert_default())
}

/// What those are parked on who wait until a callback no longer runs.
fn idle_key(cookie: u64) -> u64 {
    0xffff_fb00_0000_0000 ^ cookie
}

/// Registers a callback and gives its cookie; `None` if another one has its
/// altitude.
pub fn add(wanted: CallbackParams) -> Option<u64> {
    let CallbackParams {
        function,
        context,
        altitude,
        caller,
    } = wanted;
    let legacy = altitude.is_none();
    let altitude = altitude.unwrap_or_else(|| Altitude::new(&utf16::wide(LEGACY)));
    with(|state| {
        let taken = |other: &Callback| !other.legacy && other.place.0.0 == altitude;
        if !legacy && state.callbacks.iter().any(taken) {
            return None;
        }
        // A cookie is a time, made unique.
        state.cookie = clock::system_time().max(state.cookie + 1);
        let cookie = state.cookie;
        let place = (Reverse(altitude), cookie);
        let at = state
            .callbacks
            .partition_point(|other| other.place <= place);
        let callback = Callback {
            place,
            cookie,
            function,
            context,
            legacy,
            caller,
            running: 0,
            ending: false,
        };
        state.callbacks.insert(at, callback);
        Some(cookie)
    })
}

/// Whether a cookie is that of a callback.
pub fn is_registered(cookie: u64) -> bool {
    with(|state| state.callbacks.iter().any(|known| known.cookie == cookie))
}

/// Whether anybody is registered.
pub fn any() -> bool {
    with(|state| !state.callbacks.is_empty())
}

/// Those that hear of what the current thread does now, in order.
pub fn listening() -> Vec<Callback> {
    let thread = thread_table::current_thread();
    with(|state| {
        let inside = state.inside.iter().rev().find(|(who, _)| *who == thread);
        let below = |callback: &&Callback| {
            !callback.ending && inside.is_none_or(|(_, place)| callback.place > *place)
        };
        state.callbacks.iter().filter(below).cloned().collect()
    })
}

/// Lets a callback hear of nothing new, and waits until it does not run. False if
/// there is no such callback.
pub fn quiet(cookie: u64) -> bool {
    loop {
        let running = with(|state| {
            let mut all = state.callbacks.iter_mut();
            let callback = all.find(|known| known.cookie == cookie)?;
            callback.ending = true;
            Some(callback.running > 0)
        });
        match running {
            None => return false,
            Some(false) => return true,
            Some(true) => {
                sched::park(idle_key(cookie), None);
            }
        }
    }
}

/// Forgets a callback.
pub fn remove(cookie: u64) {
    with(|state| state.callbacks.retain(|known| known.cookie != cookie));
}

/// Calls a callback, known by its cookie, with a notification; its status, or
/// `None` if it is not registered any more.
pub fn invoke(cookie: u64, class: u32, information: u64, caller: &CallContext<'_>) -> Option<u32> {
    let thread = thread_table::current_thread();
    let callback = with(|state| {
        let mut all = state.callbacks.iter_mut();
        let callback = all.find(|known| known.cookie == cookie)?;
        callback.running += 1;
        let callback = callback.clone();
        state.inside.push((thread, callback.place.clone()));
        Some(callback)
    })?;
    let Callback {
        function, context, ..
    } = callback;
    let purpose = Purpose::RegistryFilter { function };
    let arguments = [context, u64::from(class), information];
    let routine = Routine::new(function, "registry callback").registered_by(callback.caller);
    let returned = caller.call_for(purpose, routine, &arguments);
    with(|state| {
        let mine = state.inside.iter().rposition(|(who, _)| *who == thread);
        mine.map(|at| state.inside.remove(at));
        let mut all = state.callbacks.iter_mut();
        if let Some(known) = all.find(|known| known.cookie == cookie) {
            known.running -= 1;
        }
    });
    sched::wake(idle_key(cookie));
    // The status is the low half of RAX.
    Some(u32::try_from(returned & 0xffff_ffff).unwrap_or(0))
}

/// Callbacks that are still registered. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let callbacks = with(|state| std::mem::take(&mut state.callbacks));
    callbacks
        .into_iter()
        .map(|callback| {
            let message = format!(
                "the registry callback at {:#018x} is not unregistered",
                callback.function
            );
            Leak::new(
                rules::REGISTRY_CALLBACK_NOT_UNREGISTERED,
                message,
                callback.caller,
            )
        })
        .collect()
}
