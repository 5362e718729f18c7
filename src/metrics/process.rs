//! What the operating system says of the process, under the names that Prometheus'
//! own clients use.

use super::samples::{Gauge, Sample, number};
use prometheus_client::registry::Unit;
use std::fs;

/// Ticks of the clock in which Linux tells CPU time to programs, a second.
const TICKS: f64 = 100.0;

/// CPU time, memory, file descriptors, threads and start time. Only what can be read
/// is there: all of it on Linux, nothing elsewhere.
#[must_use]
pub fn process() -> Vec<Gauge> {
    let mut gauges = Vec::new();
    let mut add = |name, help, unit, is_counter, value: Option<f64>| {
        let samples = value.into_iter().map(|value| Sample {
            labels: Vec::new(),
            value,
        });
        let samples: Vec<_> = samples.collect();
        if !samples.is_empty() {
            gauges.push(Gauge {
                name,
                help,
                unit,
                is_counter,
                samples,
            });
        }
    };
    let stat = Stat::read();
    let stat = |field| stat.as_ref().and_then(|stat| stat.number(field));
    let cpu = stat(Stat::USER_TIME).zip(stat(Stat::SYSTEM_TIME));
    add(
        "process_cpu",
        "CPU time of the process",
        Some(Unit::Seconds),
        true,
        cpu.map(|(user, system)| (user + system) / TICKS),
    );
    add(
        "process_resident_memory",
        "Memory of the process that is in RAM",
        Some(Unit::Bytes),
        false,
        status("VmRSS:").map(|kib| kib * 1024.0),
    );
    add(
        "process_virtual_memory",
        "Memory of the process that has an address",
        Some(Unit::Bytes),
        false,
        status("VmSize:").map(|kib| kib * 1024.0),
    );
    add(
        "process_open_fds",
        "File descriptors that are open",
        None,
        false,
        open_files(),
    );
    add(
        "process_max_fds",
        "File descriptors that may be open",
        None,
        false,
        most_files(),
    );
    add(
        "process_threads",
        "Threads of the process",
        None,
        false,
        stat(Stat::THREADS),
    );
    let started = boot_time().zip(stat(Stat::START_TIME));
    add(
        "process_start_time",
        "When the process was started, in seconds since 1970",
        Some(Unit::Seconds),
        false,
        started.map(|(boot, ticks)| boot + ticks / TICKS),
    );
    gauges
}

/// `/proc/self/stat`, behind the name of the program.
struct Stat(String);

impl Stat {
    // As proc(5) numbers them, less the two fields in front.
    const USER_TIME: usize = 14 - 3;
    const SYSTEM_TIME: usize = 15 - 3;
    const THREADS: usize = 20 - 3;
    const START_TIME: usize = 22 - 3;

    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name may hold anything.
        let (_, fields) = text.rsplit_once(')')?;
        Some(Self(fields.to_owned()))
    }

    fn number(&self, field: usize) -> Option<f64> {
        self.0.split_whitespace().nth(field)?.parse().ok()
    }
}

/// A number of `/proc/self/status`.
fn status(name: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_files() -> Option<f64> {
    // From Linux 6.2 on it is the length of the folder: nobody lists thousands.
    let count = match fs::metadata("/proc/self/fd").ok()?.len() {
        // The listing itself is one.
        0 => (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
        count => count,
    };
    Some(number(count))
}

fn most_files() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// When the system was started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}
