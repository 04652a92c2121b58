//! Unwinding on images and stacks made by hand.

mod damaged;
mod epilogues;
mod lookup;
mod machine;
mod prologues;
