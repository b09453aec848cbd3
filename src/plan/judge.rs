//! What follows from the numbers: refusals and warnings, each a sentence that says what will happen.

use super::{
    Plan, SegmentPlan, Setting, Verdict, falls_on_reset, has_dead_man, has_watchdog, pair,
};
use crate::board::controller::{CutState, RelayState};
use crate::board::profile::{Confidence, ControllerSpec, Expiry, Kept, ReadBack};
use crate::config::{CarrierWatch, PeriodKnown, Site, WatchdogMode};

pub(super) fn judge(site: &Site, plan: &mut Plan) {
    let chain = plan.chain.iter();
    for inequality in chain.chain(plan.pair.iter().flat_map(|pair| &pair.chain)) {
        let sentence = format!(
            "{} is more than {}: {}",
            inequality.left.made_of, inequality.right.made_of, inequality.otherwise
        );
        match inequality.verdict {
            Verdict::Holds => {}
            Verdict::Warns => plan.warnings.push(sentence),
            Verdict::Fails => plan.refusals.push(sentence),
        }
    }
    safety_nets(site, plan);
    let mut warnings = Vec::new();
    for segment in &plan.segments {
        judge_segment(segment, has_dead_man(site), &mut warnings);
    }
    plan.warnings.append(&mut warnings);
    knowledge(site, plan);
    if site.config.pair.is_some() {
        pair::judge(site, plan);
    }
}

fn safety_nets(site: &Site, plan: &mut Plan) {
    match (has_dead_man(site), has_watchdog(site)) {
        (false, true) if !site.board.has_relays() => {}
        (false, false) if !site.board.has_relays() => plan.warnings.push(
            "[watchdog] mode is \"off\": a host whose kernel hangs may go on answering for its addresses until the other \
             has fenced it, and stays down until somebody comes"
                .to_owned(),
        ),
        (false, false) => plan.refusals.push(
            "this board has no dead-man and [watchdog] mode is \"off\": a hung host would hold the wire for ever; \
             set mode to \"device\" or \"systemd\""
                .to_owned(),
        ),
        (false, true) => plan.warnings.push(
            "this board has no dead-man: only the machine's watchdog stands behind a hung agent, and it must be \
             hardware (softdog dies with the kernel)"
                .to_owned(),
        ),
        (true, false) => plan.warnings.push(
            "[watchdog] mode is \"off\": after a hang the wire is safe, but the machine stays down until somebody \
             comes"
                .to_owned(),
        ),
        (true, true) => {}
    }
    match (has_dead_man(site), site.board.dead_man.expiry) {
        (true, Expiry::KickRestores) => plan.warnings.push(
            "the dead-man's expiry is not sticky: the next kick gives the relay back, whatever it missed; this board \
             may never prove a lease to a peer"
                .to_owned(),
        ),
        (true, Expiry::Unknown) => plan.warnings.push(
            "no public source says whether a kick after expiry restores Normal by itself; taken as if it did, so this \
             board may not prove a lease to a peer"
                .to_owned(),
        ),
        _ => {}
    }
    let wave = matches!(site.board.controller, ControllerSpec::PulseTrain { .. });
    if falls_on_reset(site) && !wave {
        plan.warnings.push(
            "the relays fall when the lines' descriptors close: keep them in systemd's descriptor store \
             (FileDescriptorStoreMax=), or every restart of the agent moves the relays"
                .to_owned(),
        );
    }
    if site.config.watchdog.mode == WatchdogMode::Systemd {
        plan.warnings.push(format!(
            "[watchdog] mode is \"systemd\": timeout_s = {} must be what the unit's WatchdogSec= and systemd's \
             RuntimeWatchdogSec= add up to; this plan cannot see them",
            site.config.watchdog.timeout.as_secs()
        ));
    }
}

fn judge_segment(segment: &SegmentPlan, has_dead_man: bool, warnings: &mut Vec<String>) {
    let name = &segment.name;
    differs(
        name,
        segment.fail,
        "power-off",
        &segment.power_off,
        warnings,
    );
    differs(name, segment.fail, "power-up", &segment.power_up, warnings);
    if has_dead_man {
        differs(name, segment.fail, "expiry", &segment.expiry, warnings);
    }
    match segment.read_back {
        ReadBack::Contacts | ReadBack::Register => {}
        ReadBack::Drive => warnings.push(format!(
            "segment {name}: only the coil's drive can be read; a stuck relay is not seen"
        )),
        ReadBack::Nothing => warnings.push(format!(
            "segment {name}: nothing can be read back; its state is reported as Unknown, and a relay that did not \
             move is not seen"
        )),
    }
}

fn differs(name: &str, fail: CutState, key: &str, setting: &Setting, warnings: &mut Vec<String>) {
    let fail = RelayState::from(fail);
    let sentence = match setting.kept {
        Kept::Stays => format!(
            "segment {name}: {key} stays where the relay was; after Normal both ports are dark until software moves it"
        ),
        Kept::Unknown => {
            format!("segment {name}: no public source says what {key} does on this board")
        }
        _ => match setting.states.as_slice() {
            [state] if *state == fail => return,
            [RelayState::Disconnect] => format!(
                "segment {name}: fails to {fail}, but {key} is Disconnect: then both links are down and nothing passes"
            ),
            [RelayState::Bypass] => format!(
                "segment {name}: fails to {fail}, but {key} is Bypass: then traffic passes unfiltered"
            ),
            _ => format!("segment {name}: {key} is not one state"),
        },
    };
    warnings.push(sentence);
}

fn knowledge(site: &Site, plan: &mut Plan) {
    if site.timing.known == PeriodKnown::Assumed {
        plan.warnings.push(
            "the dead-man's period is assumed, no public source states it: commissioning measures it; then write \
             [dead_man] measured_ms"
                .to_owned(),
        );
    }
    for fact in site
        .board
        .facts
        .iter()
        .filter(|fact| fact.confidence == Confidence::Low)
    {
        plan.warnings.push(format!(
            "low confidence in [{}]: {}",
            fact.table, fact.source
        ));
    }
    for segment in &site.config.segments {
        if let CarrierWatch::Unwatched(reason) = &segment.carrier {
            plan.warnings.push(format!(
                "segment {}: carrier is not watched ({reason})",
                segment.name
            ));
        }
    }
}
