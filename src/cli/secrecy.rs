//! Keys and passwords are in the process's memory: they are to stay there.

/// Sees to it that no core file is written and no other process of the user's can
/// read the memory. Where the system cannot do that, it is done without.
pub(super) fn keep_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit,
        };
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = setrlimit(Resource::Core, none);
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
