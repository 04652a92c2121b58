//! What programs and `ntmem.sys` say to each other: control codes, and requests
//! and replies as plain data.
//!
//! Both sides are compiled against this crate, and a program may be older than the
//! driver that it meets. So nothing here has padding, pointers or sizes that
//! depend on the compiler, a reply never changes its layout, and [`VERSION`] tells
//! how old the other side is.

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

/// Number of this protocol. It grows when a command is added; commands do not
/// change.
pub const VERSION: u32 = 1;
