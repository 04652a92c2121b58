//! The command `scenario`: runs a scenario at any time, with the second mapping in
//! system space or in the caller's process.

use ntmem_ioctl::{
    SCENARIO_SIZE_LIMIT, ScenarioCache, ScenarioKind, ScenarioReply, ScenarioRequest,
    ScenarioTarget,
};
use wdm::{
    Status,
    irp::{Completion, ProcessorMode},
    irql::Passive,
    map::CacheType,
    memory::byte_offset,
    user_map::Access,
};

use super::{NtMem, Request};
use crate::scenario::{Plan, Scenario, Target};

impl NtMem {
    /// Runs a scenario and completes the request with its report.
    pub(super) fn scenario<'r>(
        &self,
        mut request: Request<'r>,
        passive: &mut Passive,
    ) -> Completion<'r> {
        if request.output_len() < size_of::<ScenarioReply>() {
            return self.reject(request, Status::BUFFER_TOO_SMALL);
        }
        let requestor = request.requestor();
        let input: Result<ScenarioRequest, Status> = request.input();
        match input.and_then(|input| self.run_scenario(input, requestor, passive)) {
            Ok(report) => request.reply(&report),
            Err(status) => self.reject(request, status),
        }
    }

    fn run_scenario(
        &self,
        input: ScenarioRequest,
        requestor: ProcessorMode,
        passive: &mut Passive,
    ) -> Result<ScenarioReply, Status> {
        let wrong = Status::INVALID_PARAMETER;
        let kind = ScenarioKind::from_number(input.kind).ok_or(wrong)?;
        let target = ScenarioTarget::from_number(input.target).ok_or(wrong)?;
        let cache = ScenarioCache::from_number(input.cache).ok_or(wrong)?;
        let size = usize::try_from(input.size).map_err(|_| wrong)?;
        let target = match target {
            ScenarioTarget::System => Target::System,
            ScenarioTarget::User => Target::User(Access::ReadWrite, passive),
            ScenarioTarget::UserRead => Target::User(Access::Read, passive),
        };
        match target {
            _ if input.size == 0 || input.size > SCENARIO_SIZE_LIMIT => return Err(wrong),
            Target::User(..) if byte_offset(size) != 0 || kind == ScenarioKind::DoubleMap => {
                return Err(wrong);
            }
            // A request of a driver has no process of its own.
            Target::User(..) if requestor == ProcessorMode::Kernel => {
                return Err(Status::NOT_SUPPORTED);
            }
            _ => {}
        }
        let plan = Plan {
            size: input.size,
            cache: match cache {
                ScenarioCache::NonCached => CacheType::NonCached,
                ScenarioCache::Cached => CacheType::Cached,
                ScenarioCache::WriteCombined => CacheType::WriteCombined,
            },
            level: self.level,
        };
        let (_, report) = Scenario::from_kind(kind).run(&plan, target);
        Ok(report)
    }
}
