//! The settings of backups: where they go, how often they are made and how long they are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ConfigError;
use super::parse;
use super::read::Reader;

/// Where backups go, how often they are made and how long they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupConfig {
    /// The directory; `backups` in the base directory by default.
    pub dir: PathBuf,
    /// Whether they are made by the clock; by hand they can be made in any case.
    pub enabled: bool,
    /// How often.
    pub interval: BackupInterval,
    /// Days after which one is removed; 1 to 3,650.
    pub retention_days: u32,
    /// How many are kept; 1 to 1,000.
    pub max_count: u32,
}

/// How often backups are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupInterval {
    /// Every hour.
    Hourly,
    /// Every 24 hours.
    Daily,
    /// Every seven days.
    Weekly,
}

impl BackupInterval {
    const ALL: [BackupInterval; 3] =
        [BackupInterval::Hourly, BackupInterval::Daily, BackupInterval::Weekly];

    /// The word for it, as in the setting.
    pub fn name(self) -> &'static str {
        match self {
            BackupInterval::Hourly => "hourly",
            BackupInterval::Daily => "daily",
            BackupInterval::Weekly => "weekly",
        }
    }

    /// How long it is.
    pub fn duration(self) -> Duration {
        const HOUR: Duration = Duration::from_secs(3600);
        match self {
            BackupInterval::Hourly => HOUR,
            BackupInterval::Daily => HOUR * 24,
            BackupInterval::Weekly => HOUR * 24 * 7,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        BackupInterval::ALL.into_iter().find(|interval| interval.name() == text)
    }
}

/// Reads the settings of the part.
pub(super) fn read(reader: &mut Reader, base_dir: &Path) -> Result<BackupConfig, ConfigError> {
    let directories = reader.directories();
    Ok(BackupConfig {
        dir: reader.or_else(
            "backup.dir",
            |text| directories.expand(text),
            |_| Ok(base_dir.join("backups")),
        )?,
        enabled: reader.required("backup.enabled", parse::boolean)?,
        interval: reader.required("backup.interval", BackupInterval::parse)?,
        retention_days: reader
            .required("backup.retention_days", |text| parse::number(text, 1..=3650))?,
        max_count: reader.required("backup.max_count", |text| parse::number(text, 1..=1000))?,
    })
}
