//! The debug output: `DbgPrintEx` and its kin end here.
//!
//! What one call prints need not be a line. Text without a line end waits for
//! the rest; a line belongs to the component and level that began it.

use ntbox_api::config::DebugFilter;
use ntbox_api::ipc::Event;
use ntbox_api::report::LogLine;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::{channel, cpu};

use super::clock;

struct LogState {
    filter: DebugFilter,
    /// Interrupt time at the start.
    started: u64,
    /// A line that has begun.
    pending: Option<LogLine>,
}

static STATE: KernelCell<Option<LogState>> = KernelCell::new(None);

/// Sets the filter and the zero of time.
pub fn initialize(filter: DebugFilter) {
    *STATE.lock() = Some(LogState {
        filter,
        started: clock::interrupt_time(),
        pending: None,
    });
}

fn with<T>(work: impl FnOnce(&mut LogState) -> T) -> Option<T> {
    STATE.lock().as_mut().map(work)
}

/// Whether the filter lets a message through.
pub fn shows(component: u32, level: u32) -> bool {
    with(|state| state.filter.shows(component, level)).unwrap_or(false)
}

/// Changes the mask of a component.
pub fn set_mask(component: u32, mask: u32) {
    with(|state| {
        state.filter.components.retain(|(id, _)| *id != component);
        state.filter.components.push((component, mask));
    });
}

/// The mask of a component.
pub fn mask(component: u32) -> u32 {
    with(|state| {
        state
            .filter
            .components
            .iter()
            .find(|(id, _)| *id == component)
            .map_or(0, |(_, mask)| *mask)
    })
    .unwrap_or(0)
}

/// Records what one call printed.
pub fn message(component: u32, level: u32, text: &[u8]) {
    let lines = with(|state| {
        let mut done = Vec::new();
        let text = String::from_utf8_lossy(text);
        for piece in text.split_inclusive('\n') {
            let mut line = state.pending.take().unwrap_or_else(|| LogLine {
                time: clock::interrupt_time().saturating_sub(state.started),
                component,
                level,
                irql: cpu::irql(),
                shown: state.filter.shows(component, level),
                text: String::new(),
            });
            if let Some(end) = piece.strip_suffix('\n') {
                line.text.push_str(end.strip_suffix('\r').unwrap_or(end));
                done.push(line);
            } else {
                line.text.push_str(piece);
                state.pending = Some(line);
            }
        }
        done
    });
    for line in lines.into_iter().flatten() {
        channel::send(&Event::Log(line));
    }
}

/// Records what this kernel itself has to say to whoever reads the log, a line.
pub fn note(text: &str) {
    /// `DPFLTR_DEFAULT_ID`.
    const DEFAULT: u32 = 101;
    message(DEFAULT, 0, format!("ntbox: {text}\n").as_bytes());
}

/// Ends a line that has begun: the kernel is about to stop or the driver is gone.
pub fn flush() {
    if let Some(line) = with(|state| state.pending.take()).flatten() {
        channel::send(&Event::Log(line));
    }
}
