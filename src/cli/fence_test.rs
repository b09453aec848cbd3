//! `fencepost fence-test`: cut the Backup through each means, see that it is cut, and let it back.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use fencepost::control::{Answer, Request};
use fencepost::control_client::{Client, ClientError};
use fencepost::node::pair::PairCommand;
use fencepost::node::pair::drill::{FenceTest, TestVerdict, TestedMeans};

use super::exit::{Exit, Failure};
use super::{Global, agent_link};

/// Between looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The longest a test can take: every means to its time-out, and the Backup back after each.
const TEST_MAX: Duration = Duration::from_secs(20 * 60);

/// Cut the Backup through each means, see that it is cut, and let it back
///
/// Asked of the Active, which goes on serving. Its Backup must stand ready; while the test lasts, nobody could take over.
/// Programs that take power are tried only by name: the Backup then stays off until you switch it on. Exit code 0 means that
/// every means that was tried was confirmed and the Backup came back.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this means; the only way to try a program that takes power
    #[arg(long, value_name = "NAME")]
    means: Option<String>,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask whether to go on
    #[arg(long)]
    yes: bool,
    /// One JSON object: number, done, means (name, verdict, confirmed_ms, back_ms, remark), ended_early
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(global: &Global, options: Options) -> Result<Exit, Failure> {
    if !options.yes {
        confirm(options.means.as_deref())?;
    }
    let path = agent_link::socket(global);
    let mut agent = agent_link::connect(global)?;
    let before = last(&mut agent, &path)?.map_or(0, |test| test.number);
    let command = PairCommand::FenceTest {
        means: options.means,
        reason: options.reason,
    };
    match agent.ask(Request::Pair { command })? {
        Answer::Done(_) => {}
        other => return Err(agent_link::foreign(&path, &other).into()),
    }
    let until = Instant::now() + TEST_MAX;
    let test = loop {
        std::thread::sleep(LOOK_EVERY);
        match last(&mut agent, &path)? {
            Some(test) if test.done && test.number > before => break test,
            _ if Instant::now() > until => {
                return Err(Failure::failed(
                    "the test does not end; see `fencepost status`",
                ));
            }
            _ => {}
        }
    };
    if options.json {
        println!("{}", serde_json::to_string(&test)?);
    } else {
        print!("{}", render(&test));
    }
    Ok(if passed(&test) {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn confirm(means: Option<&str>) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::failed("nobody is here to confirm: use --yes"));
    }
    let what = means.map_or("each means that takes no power".to_owned(), |name| {
        format!("`{name}`; if that is a program, it stays without power until you switch it on")
    });
    print!(
        "The Backup is cut off the wire by {what}.\nUntil it is back nobody can take over. Go on? [y/N] "
    );
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::failed("nothing was cut"))
}

/// The test under way, or the last one.
fn last(agent: &mut Client, path: &Path) -> Result<Option<FenceTest>, ClientError> {
    match agent.ask(Request::Status)? {
        Answer::Status(status) => Ok(status.node.pair.and_then(|pair| pair.fence_test)),
        other => Err(agent_link::foreign(path, &other)),
    }
}

/// Whether nothing that was tried failed.
fn passed(test: &FenceTest) -> bool {
    let bad =
        |means: &TestedMeans| matches!(means.verdict, TestVerdict::Failed | TestVerdict::Trying);
    test.ended_early.is_none() && !test.means.iter().any(bad)
}

fn render(test: &FenceTest) -> String {
    let mut text = String::new();
    for means in &test.means {
        let failed = match means.verdict {
            TestVerdict::Failed => Some("FAILED".to_owned()),
            TestVerdict::NotTried => Some("not tried".to_owned()),
            TestVerdict::Trying | TestVerdict::Passed | TestVerdict::PowerTaken => None,
        };
        let confirmed = means.confirmed_ms.map(|ms| format!("confirmed in {ms} ms"));
        let back = means.back_ms.map(|ms| format!("ready again after {ms} ms"));
        let said = [failed, confirmed, back, means.remark.clone()];
        let said: Vec<String> = said.into_iter().flatten().collect();
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{:<17} {}", means.name, said.join(", "));
    }
    if let Some(why) = &test.ended_early {
        let _infallible = writeln!(text, "ended early: {why}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(
        name: &str,
        verdict: TestVerdict,
        times: [Option<u64>; 2],
        remark: &str,
    ) -> TestedMeans {
        TestedMeans {
            name: name.to_owned(),
            verdict,
            confirmed_ms: times[0],
            back_ms: times[1],
            remark: (!remark.is_empty()).then(|| remark.to_owned()),
        }
    }

    fn test(means: Vec<TestedMeans>) -> FenceTest {
        FenceTest {
            number: 1,
            done: true,
            means,
            ended_early: None,
        }
    }

    #[test]
    fn what_was_not_tried_is_said_and_is_no_failure() {
        let good = test(vec![
            tested("bmc", TestVerdict::NotTried, [None, None], "it takes power"),
            tested("fence-wire", TestVerdict::Passed, [Some(23), Some(140)], ""),
        ]);
        assert!(passed(&good));
        assert_eq!(
            render(&good),
            "bmc               not tried, it takes power\n\
             fence-wire        confirmed in 23 ms, ready again after 140 ms\n"
        );
    }

    #[test]
    fn one_that_failed_fails_the_test() {
        let bad = test(vec![
            tested(
                "fence-wire",
                TestVerdict::Failed,
                [None, None],
                "not confirmed in time",
            ),
            tested("peer-agent", TestVerdict::Passed, [Some(9), Some(80)], ""),
        ]);
        assert!(!passed(&bad));
        assert!(render(&bad).starts_with("fence-wire        FAILED, not confirmed in time\n"));
        let mut early = test(Vec::new());
        early.ended_early = Some("the Backup is not back after 60 s".to_owned());
        assert!(!passed(&early));
        assert_eq!(
            render(&early),
            "ended early: the Backup is not back after 60 s\n"
        );
    }

    #[test]
    fn power_that_was_taken_by_name_is_a_success_that_needs_a_person() {
        let off = tested(
            "bmc",
            TestVerdict::PowerTaken,
            [Some(2_100), None],
            "switch it on",
        );
        let off = test(vec![off]);
        assert!(passed(&off));
        assert!(render(&off).ends_with("confirmed in 2100 ms, switch it on\n"));
    }
}
