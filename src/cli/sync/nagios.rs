//! The state of sync as a Nagios or Icinga plugin gives it.

use fencepost_sync::control::Report;
use fencepost_sync::session::State;

use super::status::sentence;
use crate::cli::exit::{Exit, Failure};
use crate::cli::status::nagios::{Code, line, unanswered};

/// A change that has been under way for longer, in milliseconds, is worth a look.
const LAG_MS_MAX: u64 = 10_000;

pub(super) fn run(fetched: Result<Report, Failure>) -> Exit {
    let (code, line) = match fetched {
        Ok(report) => judge(&report),
        Err(failure) => unanswered(&failure),
    };
    println!("{line}");
    code.exit()
}

fn judge(report: &Report) -> (Code, String) {
    let states = report.categories.iter().map(|one| one.state.clone());
    let worst = states
        .map(|state| code(&state))
        .max_by_key(|code| weight(*code));
    let code = worst.unwrap_or(Code::Unknown);
    let mut told: Vec<String> = report
        .categories
        .iter()
        .map(|one| format!("{}: {}", one.id, sentence(one)))
        .collect();
    if report.categories.is_empty() {
        told.push("no category is configured".to_owned());
    }
    told.extend(report.trouble.iter().cloned());
    let lag_ms = report.categories.iter().map(|one| match one.state {
        State::Syncing { lag_ms, .. } => lag_ms,
        _ => 0,
    });
    let performance = format!("lag={}ms", lag_ms.max().unwrap_or(0));
    (code, line(code, &told.join("; "), &performance))
}

const fn code(state: &State) -> Code {
    match state {
        State::InSync { .. } => Code::Ok,
        State::Syncing { lag_ms, .. } if *lag_ms <= LAG_MS_MAX => Code::Ok,
        State::Syncing { .. } => Code::Warning,
        State::OutOfSync { .. } => Code::Critical,
        State::Unknown { .. } => Code::Unknown,
    }
}

/// What is wrong counts for more than what is not known.
const fn weight(code: Code) -> u8 {
    match code {
        Code::Ok => 0,
        Code::Unknown => 1,
        Code::Warning => 2,
        Code::Critical => 3,
    }
}

#[cfg(test)]
mod tests {
    use fencepost_sync::category_id::CategoryId;
    use fencepost_sync::session::{CategoryStatus, Reason};

    use super::*;

    fn report(states: impl IntoIterator<Item = State>) -> Report {
        let Ok(id) = CategoryId::new("firewall") else {
            panic!("a name");
        };
        let category = |state| CategoryStatus {
            id: id.clone(),
            state,
            entries: 1,
            bytes: 1,
            generation: None,
            root: None,
        };
        Report {
            categories: states.into_iter().map(category).collect(),
            ..Report::default()
        }
    }

    fn in_sync() -> State {
        State::InSync {
            verified_ms_ago: 200,
        }
    }

    fn syncing(lag_ms: u64) -> State {
        let bytes_left = 0;
        State::Syncing { lag_ms, bytes_left }
    }

    fn reload_failed() -> State {
        State::OutOfSync {
            reason: Reason::ReloadFailed,
            details: "reload failed: a | b".to_owned(),
        }
    }

    #[test]
    fn the_worst_category_counts() {
        let unknown = || State::Unknown { for_ms: 9 };
        for (states, wanted) in [
            (vec![], Code::Unknown),
            (vec![in_sync(), syncing(LAG_MS_MAX)], Code::Ok),
            (vec![in_sync(), unknown()], Code::Unknown),
            (vec![unknown(), syncing(LAG_MS_MAX + 1)], Code::Warning),
            (
                vec![in_sync(), reload_failed(), syncing(60_000)],
                Code::Critical,
            ),
        ] {
            let (code, line) = judge(&report(states.clone()));
            assert_eq!(code, wanted, "{states:?}");
            assert_eq!(line.matches('|').count(), 1, "{line}");
        }
    }

    #[test]
    fn one_line_says_which_and_why() {
        let (_, line) = judge(&report([reload_failed()]));
        let wanted = "FENCEPOST CRITICAL - firewall: OUT OF SYNC: reload failed: a   b | lag=0ms";
        assert_eq!(line, wanted);
    }
}
