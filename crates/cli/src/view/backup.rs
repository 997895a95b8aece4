//! Backups, and how far one is.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use landfall_api::wire::backup::{BackupStatus, BackupSummary};

use crate::{
    output::Output,
    report,
    view::{plain, table::Table},
};

/// How far it is: live on a terminal, nothing elsewhere.
pub struct Bar {
    bar: Option<ProgressBar>,
    subject: String,
    stage: String,
    since: Instant,
}

impl Bar {
    /// One; nothing is drawn yet.
    pub fn new(output: &Output, subject: &str) -> Self {
        let bar = output.live().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner())
                .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
            let bar =
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self {
            bar,
            subject: subject.to_owned(),
            stage: String::new(),
            since: Instant::now(),
        }
    }

    /// So far.
    pub fn progress(&mut self, stage: &str, bytes: u64, of: Option<u64>) {
        if self.stage != stage {
            stage.clone_into(&mut self.stage);
            self.since = Instant::now();
        }
        if let Some(bar) = &self.bar {
            let far = far(bytes, of, self.since.elapsed());
            bar.set_message(format!("{}  {stage}{far}", self.subject));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `  12 MB of 40 MB, 6 MB/s`
fn far(bytes: u64, of: Option<u64>, time: Duration) -> String {
    if bytes == 0 {
        return String::new();
    }
    let mut text = format!("  {}", plain::bytes(bytes));
    if let Some(of) = of {
        text += &format!(" of {}", plain::bytes(of));
    }
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if millis > 500 {
        text += &format!(", {}/s", plain::bytes(bytes.saturating_mul(1000) / millis));
    }
    text
}

/// The table of `landfall backup list`.
pub fn table(backups: &[BackupSummary], now: u64) -> String {
    let mut table = Table::new(0);
    table.row(["BACKUP", "OF", "MADE", "VERIFIED", "SIZE", "CONTENT", "WHY"]);
    for backup in backups {
        let verified = match (&backup.problem, backup.verified_at) {
            (Some(_), _) => "DAMAGED".to_owned(),
            (None, Some(at)) => plain::ago(at, now),
            (None, None) => "NOT VERIFIED".to_owned(),
        };
        table.row([
            backup.id.clone(),
            backup.subject.clone(),
            plain::ago(backup.created_at, now),
            verified,
            plain::bytes(backup.bytes),
            backup.said.clone(),
            backup.reason.clone(),
        ]);
    }
    table.render()
}

/// How the backups of one thing are: `db: verified, 3 h old, 1.2 MiB, next in 21 h`.
pub fn line(status: &BackupStatus, now: u64) -> String {
    let mut facts = Vec::new();
    match &status.verified {
        Some(backup) => {
            let age = plain::lasting(now.saturating_sub(backup.created_at));
            facts.push(format!("verified, {age} old"));
            facts.push(plain::bytes(backup.bytes));
        }
        None => facts.push("NOT VERIFIED: no backup that counts yet".to_owned()),
    }
    if let Some(problem) = &status.problem {
        facts.push(format!("THE LAST TRY FAILED: {}", report::clean(problem)));
    }
    if let Some(doing) = &status.doing {
        facts.push(format!("{doing} now"));
    }
    if let Some(next) = status.next {
        facts.push(format!(
            "next in {}",
            plain::lasting(next.saturating_sub(now))
        ));
    }
    format!("{}: {}", status.subject, facts.join(", "))
}

/// What the status says of backups.
pub fn lines(backups: &[BackupStatus], now: u64) -> Vec<String> {
    backups
        .iter()
        .map(|status| format!("Backup of {}", line(status, now)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> BackupStatus {
        BackupStatus {
            subject: "db".to_owned(),
            to: "s3://backups/shop".to_owned(),
            schedule: "0 3 * * *".to_owned(),
            timezone: "UTC".to_owned(),
            keep: 7 * 86_400_000,
            next: Some(100 * 3_600_000 + 21 * 3_600_000),
            verified: None,
            count: 0,
            problem: None,
            doing: None,
        }
    }

    #[test]
    fn age_and_state_in_a_line() {
        let now = 100 * 3_600_000;
        let mut status = status();
        let text = line(&status, now);
        assert!(text.starts_with("db: NOT VERIFIED"), "{text}");
        status.verified = Some(BackupSummary {
            id: "2026".to_owned(),
            subject: "db".to_owned(),
            server: "PostgreSQL 15.20".to_owned(),
            reason: "scheduled".to_owned(),
            store: "s3://backups/shop".to_owned(),
            created_at: now - 3 * 3_600_000,
            verified_at: Some(now),
            bytes: 1_200_000,
            said: "2 tables".to_owned(),
            problem: None,
        });
        let text = line(&status, now);
        assert!(text.contains("verified, 3"), "{text}");
        assert!(text.contains("next in 21"), "{text}");
        status.problem = Some("s3 fails".to_owned());
        assert!(line(&status, now).contains("THE LAST TRY FAILED: s3 fails"));
    }

    #[test]
    fn how_far_it_is() {
        assert_eq!(far(0, None, Duration::ZERO), "");
        let text = far(10_000_000, Some(20_000_000), Duration::from_secs(2));
        assert!(text.contains(" of ") && text.ends_with("/s"), "{text}");
    }
}
