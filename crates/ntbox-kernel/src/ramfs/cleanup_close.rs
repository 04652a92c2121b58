//! The end of what was opened: with the last handle of a file object its locks and
//! its share go, and perhaps the file; with the last reference the rest.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;

use super::create::block;
use super::dir_tree::{Id, Node};
use super::dispatch::IoResult;
use super::{Volume, lock_control, with};
use crate::base::call_context::CallContext;
use crate::base::io_layout::stack;
use crate::io::share;
use crate::mm::pool;

impl Volume {
    /// Takes the name of a node away once it is to be deleted and nobody has it
    /// open.
    fn delete_if_due(&mut self, id: Id) {
        let Some(node) = self.tree.get_mut(id) else {
            return;
        };
        if node.delete_pending && node.handles == 0 && !node.unlinked && !node.is_full_directory() {
            node.unlinked = true;
            self.tree.unlink(id);
        }
        self.forget_if_unused(id);
    }

    pub(crate) fn forget_if_unused(&mut self, id: Id) {
        let unused = |node: &Node| node.unlinked && node.references == 0 && node.handles == 0;
        if self.tree.get(id).is_some_and(unused)
            && let Some(content) = self.tree.forget(id)
        {
            content.release();
        }
    }
}

/// Carries out `IRP_MJ_CLEANUP`: the last handle to a file object is closed.
pub fn cleanup(place: u64, caller: &CallContext<'_>) -> Result<IoResult, NoReturn> {
    let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    let node = with(|volume| {
        let open = volume.opens.get_mut(&object)?;
        let first = !std::mem::replace(&mut open.cleaned_up, true);
        open.node.filter(|_| first)
    });
    let Some(id) = node.flatten() else {
        return Ok((nt_status::STATUS_SUCCESS, 0));
    };
    lock_control::release_all(id, object, caller)?;
    let done = with(|volume| -> Result<(), Fault> {
        let delete = volume
            .opens
            .get(&object)
            .is_some_and(|open| open.delete_on_close);
        if let Some(node) = volume.tree.get_mut(id) {
            share::remove(object, node.block + block::SHARE)?;
            node.handles = node.handles.saturating_sub(1);
            node.delete_pending |= delete && !node.is_full_directory();
        }
        volume.delete_if_due(id);
        Ok(())
    });
    done.unwrap_or(Ok(()))?;
    Ok((nt_status::STATUS_SUCCESS, 0))
}

/// Carries out `IRP_MJ_CLOSE`: nothing refers to a file object any more.
pub fn close(place: u64) -> Result<IoResult, Fault> {
    let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    with(|volume| {
        let Some(open) = volume.opens.remove(&object) else {
            return;
        };
        if open.context != 0 {
            pool::free(open.context);
        }
        let Some(id) = open.node else { return };
        if let Some(node) = volume.tree.get_mut(id) {
            node.references = node.references.saturating_sub(1);
            if node.references == 0 {
                pool::free(std::mem::take(&mut node.block));
            }
        }
        volume.forget_if_unused(id);
    });
    Ok((nt_status::STATUS_SUCCESS, 0))
}
