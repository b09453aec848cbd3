//! The pair's part of the plan as plain text.

use core::fmt::Write;

use super::super::chain::ms;
use super::super::render::inequalities;
use super::{LeasePlan, PairPlan, outage};
use crate::config::Topology;
use crate::node::pair::policy::Standby;

pub(in crate::plan) fn write(
    pair: &PairPlan,
    topology: Topology,
    out: &mut String,
) -> core::fmt::Result {
    let standby = match pair.standby {
        Standby::Hot if topology == Topology::Apart => "hot: connected, not serving",
        Standby::Hot => "hot: closed, not serving",
        Standby::Cold => "cold: off the wire",
    };
    let means = if pair.means.is_empty() {
        "none".to_owned()
    } else {
        pair.means.join(", then ")
    };
    writeln!(out, "\npair\n  standby    {standby}")?;
    writeln!(out, "  takeover   {}", pair.takeover)?;
    if !pair.waits_for.is_empty() {
        let categories: Vec<&str> = pair.waits_for.iter().map(String::as_str).collect();
        let categories = categories.join(", ");
        writeln!(out, "  waits for  state in sync: {categories}")?;
    }
    writeln!(out, "  means      {means}")?;
    match &pair.lease {
        LeasePlan::Used { right, wait } => writeln!(
            out,
            "  lease      right {}, the Backup waits {}",
            ms(*right),
            ms(*wait)
        )?,
        LeasePlan::Refused { why } => writeln!(out, "  lease      never: {why}")?,
    }
    writeln!(out, "\ntiming of the pair")?;
    inequalities(&pair.chain, out)?;
    writeln!(out, "\nnobody answers for about, by fault of the Active")?;
    for outage in &pair.outages {
        writeln!(out, "  {:<52} {}", outage.what, ms(outage.about.time))?;
        writeln!(out, "  {:<52} = {}", "", outage.about.made_of)?;
    }
    if let Some(sentence) = outage::relink(pair.relinks) {
        writeln!(out, "  {sentence}")?;
    }
    Ok(())
}
