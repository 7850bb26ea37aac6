//! How much of the machine is in use, for health reports.

use std::path::Path;

/// Linux shows processor time to programs in hundredths of a second, whatever it counts in itself
/// (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Share of the memory that is in use, 0 to 100: what is not available to new programs without
/// swapping (`MemAvailable`, proc(5)). `None` where the system does not tell.
pub fn memory_percent() -> Option<f64> {
    percent_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// How many descriptors this process may have open; `None` where the system does not tell.
pub fn descriptor_count_max() -> Option<u64> {
    limit_of(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// How many descriptors this process has open; `None` where the system does not tell.
pub fn descriptor_count() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

/// Memory of this process in bytes (`VmRSS`, proc(5)). `None` where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    resident_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Processor time of this process in seconds (`utime` and `stime`, proc(5)). `None` where the
/// system does not tell.
pub fn cpu_seconds() -> Option<f64> {
    cpu_of(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Share of the file system below a path that is in use, 0 to 100, as `df` counts it: blocks kept
/// back for the administrator are not free. `None` where the system does not tell.
pub fn disk_percent(path: &Path) -> Option<f64> {
    let found = rustix::fs::statvfs(path).ok()?;
    let used = found.f_blocks.checked_sub(found.f_bfree)?;
    share(used, used.checked_add(found.f_bavail)?)
}

/// Bytes that this user may still write to the file system below a path. `None` where the system
/// does not tell.
pub fn disk_free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

fn percent_of(meminfo: &str) -> Option<f64> {
    let kib = |name: &str| {
        let line = meminfo.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let total = kib("MemTotal:")?;
    share(total.checked_sub(kib("MemAvailable:")?)?, total)
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

fn cpu_of(stat: &str) -> Option<f64> {
    // The name of the process, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    let total = ticks.next()?.ok()? + ticks.next()?.ok()?;
    Some(total as f64 / TICKS_PER_SECOND)
}

fn limit_of(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// With one decimal, as people read it.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_in_range() {
        let meminfo = "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  750 kB\n";
        assert_eq!(percent_of(meminfo), Some(25.0));
        assert_eq!(percent_of("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), None);
        assert_eq!(percent_of("nonsense"), None);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        assert_eq!((limit_of(limits), limit_of("")), (Some(1024), None));
        assert_eq!(resident_of("VmPeak: 9 kB\nVmRSS:\t  12 kB\n"), Some(12_288));
        assert_eq!(resident_of(""), None);
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0";
        assert_eq!((cpu_of(stat), cpu_of("")), (Some(2.0), None));
        assert!(descriptor_count() > Some(0));
        let disk = disk_percent(Path::new("/")).expect("there is a root");
        assert!((0.0..=100.0).contains(&disk), "{disk}");
        assert_eq!(disk_percent(Path::new("/no/such/place")), None);
        assert!(disk_free_bytes(Path::new("/")).is_some());
        assert_eq!(disk_free_bytes(Path::new("/no/such/place")), None);
    }
}
