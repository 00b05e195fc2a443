//! What Linux tells of this process, under the names that all of Prometheus' clients have for it.

use std::{fs, sync::OnceLock};

use super::{
    exposition::Samples,
    family::{
        PROCESS_CPU, PROCESS_DESCRIPTORS, PROCESS_MEMORY, PROCESS_MOST_DESCRIPTORS, PROCESS_START,
    },
};

/// The clock ticks of a second in `/proc`: Linux shows 100 to programs on each of its platforms but Alpha and IA-64.
const TICKS: f64 = 100.0;

/// Adds what is known; nothing where there is no `/proc`.
pub(super) fn write(samples: &mut Samples) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the name of the program, in parentheses, and may hold anything.
    let fields: Vec<&str> = match stat.rsplit_once(')') {
        Some((_, rest)) => rest.split_whitespace().collect(),
        None => Vec::new(),
    };
    let number = |field: usize| -> Option<f64> { fields.get(field - 3)?.parse().ok() };
    if let (Some(user), Some(system)) = (number(14), number(15)) {
        samples.add(&PROCESS_CPU, &[], (user + system) / TICKS);
    }
    if let Some(bytes) = resident(&fs::read_to_string("/proc/self/status").unwrap_or_default()) {
        samples.add(&PROCESS_MEMORY, &[], bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        samples.add(&PROCESS_DESCRIPTORS, &[], open.count().saturating_sub(1));
    }
    if let Some(most) = descriptors() {
        samples.add(&PROCESS_MOST_DESCRIPTORS, &[], most);
    }
    if let (Some(since_boot), Some(boot)) = (number(22), boot()) {
        samples.add(&PROCESS_START, &[], boot + since_boot / TICKS);
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// How many descriptors the process may have open, as far as the system says it in a file: Linux does.
pub(crate) fn descriptors() -> Option<usize> {
    soft_limit(&fs::read_to_string("/proc/self/limits").ok()?)
}

fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    // `unlimited` is not a number.
    line.split_whitespace().next()?.parse().ok()
}

/// When the machine was started, in seconds since 1970.
fn boot() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        line.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::exposition::Format;

    #[test]
    fn lines_of_proc_are_read() {
        assert_eq!(
            resident("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2048 * 1024)
        );
        assert_eq!(resident("Name:\tx\n"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             unlimited            unlimited            processes \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(limits), Some(1024));
        let unlimited = limits.replace("1024", "unlimited");
        assert_eq!(soft_limit(&unlimited), None);
        assert_eq!(soft_limit(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_tells_of_itself() {
        let mut samples = Samples::default();
        write(&mut samples);
        let text = samples.write(Format::Text);
        for name in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_max_fds ",
            "process_start_time_seconds ",
        ] {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value: f64 = line.unwrap().parse().unwrap();
            assert!(value >= 0.0, "{name}{value}");
        }
    }
}
