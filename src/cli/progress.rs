//! How far a long command is: a bar on a terminal, else a line every few seconds.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::counted;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows on standard error how far a command is.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    line_at: Instant,
    total: u64,
}

impl Progress {
    /// Starts at 0 of `total`, whatever that counts; 0 when it is not known.
    pub(super) fn start(total: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = if total > 0 {
                "{bar:28} {percent:>3}%  {wide_msg}  {eta} left"
            } else {
                "{spinner}  {wide_msg}  {elapsed}"
            };
            let style = ProgressStyle::with_template(template).expect("a fixed template");
            let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::new_spinner() };
            bar.enable_steady_tick(Duration::from_millis(200));
            bar.with_style(style)
        });
        let started = Instant::now();
        Progress { bar, started, line_at: started, total }
    }

    /// Says how far it is, and in words how many of what are done.
    pub(super) fn update(&mut self, position: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(position.min(self.total));
            bar.set_message(message());
        } else if self.line_at.elapsed() >= LINE_EVERY {
            self.line_at = Instant::now();
            let line = progress_line(&message(), position, self.total, self.started.elapsed());
            self.note(&line);
        }
    }

    /// Prints a line without disturbing the bar.
    pub(super) fn note(&self, line: &str) {
        // Losing a line of progress is no reason to stop the work.
        let print = || drop(io::stderr().write_all(format!("{line}\n").as_bytes()));
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// How long it has been going on.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// So many of something, and how many a second.
pub(super) fn count_and_rate(count: u64, one: &str, several: &str, elapsed: Duration) -> String {
    let rate = count as f64 / elapsed.as_secs_f64().max(0.001);
    format!("{}, {rate:.0}/s", counted(count, one, several))
}

fn progress_line(message: &str, position: u64, total: u64, elapsed: Duration) -> String {
    if total == 0 || position == 0 {
        return message.to_owned();
    }
    let share = (position as f64 / total as f64).min(1.0);
    let left = elapsed.as_secs_f64() * (1.0 - share) / share;
    format!("{message}, {:.0}%, {} left", share * 100.0, duration(left as u64))
}

/// A duration for people.
pub(super) fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_share_and_the_time_left() {
        let minute = Duration::from_secs(60);
        assert_eq!(progress_line("x", 25, 100, minute), "x, 25%, 3m00s left");
        assert_eq!(progress_line("x", 100, 100, minute), "x, 100%, 0s left");
        assert_eq!(progress_line("x", 5, 0, minute), "x");
        let text = count_and_rate(1200, "memory", "memories", minute);
        assert_eq!(text, "1,200 memories, 20/s");
    }

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [(5, "5s"), (65, "1m05s"), (7260, "2h01m")] {
            assert_eq!(duration(seconds), text);
        }
    }
}
