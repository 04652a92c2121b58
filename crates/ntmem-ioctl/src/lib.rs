//! The IOCTL interface of `ntmem.sys`: control codes, and requests and replies as plain
//! data.
//!
//! Programs and the driver are compiled against this crate, possibly against different
//! releases of it. The structures have no padding, no pointers and no target-dependent
//! sizes, their layouts do not change, and [`VERSION`] identifies the release.

#![no_std]

mod blocks;
mod code;
mod measure;
mod memory;
mod reply;
mod scenario;

pub use self::{
    blocks::{BlockRecord, BlocksRequest},
    code::{COPY_LIMIT, Command, DEVICE_LINK, DEVICE_TYPE},
    measure::{
        HeldReply, ListReply, LookasideReply, MemoryReply, PoolReply, ProbeReply, ProbeRequest,
        SyncReply, TimeReply,
    },
    memory::{
        Checksum, ContextsReply, ENTRY_POINTS, EntryContext, ExchangeReply, ExchangeRequest,
        MapReply, MapRequest, STORE_LIMIT, SendRequest, SumReply, UnmapRequest, VIEW_LIMIT,
        VIEW_SIZE_LIMIT,
    },
    reply::{ContextReply, IrqlReply, SignalReply, SignalRequest, StatisticsReply, VersionReply},
    scenario::{
        SCENARIO_CHECKS, SCENARIO_SIZE_LIMIT, SCENARIO_STEPS, ScenarioCache, ScenarioCheck,
        ScenarioCheckResult, ScenarioKind, ScenarioReply, ScenarioRequest, ScenarioStep,
        ScenarioStepResult, ScenarioTarget, ScenarioVerdict,
    },
};

/// The interface version. It is incremented when a command is added; existing commands
/// do not change.
pub const VERSION: u32 = 1;
