//! The command `walk`: a walk like those of the start, at any moment, with the
//! second address in system space or in the caller's process.

use ntmem_ioctl::{WALK_LIMIT, WalkCache, WalkKind, WalkReply, WalkRequest, WalkTarget};
use wdm::{
    Status,
    irp::{Completion, ProcessorMode},
    irql::Passive,
    map::CacheType,
    memory::byte_offset,
    user_map::Access,
};

use super::{NtMem, Request};
use crate::walk::{Plan, Target, Walk};

impl NtMem {
    /// Runs a walk and answers with its report, if there is room for it.
    pub(super) fn walk<'r>(
        &self,
        mut request: Request<'r>,
        passive: &mut Passive,
    ) -> Completion<'r> {
        if request.output_len() < size_of::<WalkReply>() {
            return self.refuse(request, Status::BUFFER_TOO_SMALL);
        }
        let requestor = request.requestor();
        let asked: Result<WalkRequest, Status> = request.input();
        match asked.and_then(|asked| self.run_walk(asked, requestor, passive)) {
            Ok(report) => request.reply(&report),
            Err(status) => self.refuse(request, status),
        }
    }

    fn run_walk(
        &self,
        asked: WalkRequest,
        requestor: ProcessorMode,
        passive: &mut Passive,
    ) -> Result<WalkReply, Status> {
        let wrong = Status::INVALID_PARAMETER;
        let kind = WalkKind::from_number(asked.kind).ok_or(wrong)?;
        let target = WalkTarget::from_number(asked.target).ok_or(wrong)?;
        let cache = WalkCache::from_number(asked.cache).ok_or(wrong)?;
        let size = usize::try_from(asked.size).map_err(|_| wrong)?;
        let target = match target {
            WalkTarget::System => Target::System,
            WalkTarget::User => Target::User(Access::ReadWrite, passive),
            WalkTarget::UserRead => Target::User(Access::Read, passive),
        };
        match target {
            _ if asked.size == 0 || asked.size > WALK_LIMIT => return Err(wrong),
            Target::User(..) if byte_offset(size) != 0 || kind == WalkKind::Textbook => {
                return Err(wrong);
            }
            // A driver's process is whichever it happens to run in.
            Target::User(..) if requestor == ProcessorMode::Kernel => {
                return Err(Status::NOT_SUPPORTED);
            }
            _ => {}
        }
        let plan = Plan {
            size: asked.size,
            cache: match cache {
                WalkCache::NonCached => CacheType::NonCached,
                WalkCache::Cached => CacheType::Cached,
                WalkCache::WriteCombined => CacheType::WriteCombined,
            },
            level: self.level,
        };
        let (_, report) = Walk::of(kind).run(&plan, target);
        Ok(report)
    }
}
