//! Families: one controller, many models that differ in addresses and muxes.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::words;
use super::{Wiring, fact};
use crate::board::profile::{
    CaswellChip, CaswellPeriod, Confidence, ControllerSpec, FactSource, LannerModule, LannerPair,
};
use crate::diagnose::{Findings, Mistake};

/// Pairs one Lanner MCU can have: its masks are one byte.
const LANNER_PAIRS_MAX: u8 = 8;

/// Muxes in a row; no known model has more than two.
const HOPS_MAX: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLanner {
    source: Spanned<String>,
    confidence: Confidence,
    adapter: Spanned<String>,
    slot_address: Spanned<i64>,
    onboard_address: Spanned<i64>,
    pairs_per_module: Spanned<i64>,
    model: Vec<RawLannerModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLannerModel {
    source: Spanned<String>,
    confidence: Confidence,
    names: Vec<Spanned<String>>,
    onboard: Onboard,
    slots: Spanned<Vec<Vec<Spanned<RawHop>>>>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Onboard {
    Present,
    Absent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHop {
    mux: Spanned<i64>,
    channel: Spanned<i64>,
}

impl RawLanner {
    pub(super) fn wirings(&self, findings: &mut Findings) -> Vec<Wiring> {
        let common = fact("controller", &self.source, self.confidence, findings);
        let adapter = words::adapter(&self.adapter, findings);
        let pairs = findings.number(
            "pairs_per_module",
            &self.pairs_per_module,
            1..=LANNER_PAIRS_MAX,
        );
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for model in &self.model {
            let own = fact(
                "controller.model",
                &model.source,
                model.confidence,
                findings,
            );
            let modules = self.modules(model, findings);
            for name in model_names(&model.names, &mut seen, findings) {
                let each = modules.iter().enumerate().flat_map(|(module, facts)| {
                    (0..pairs).map(move |bit| (facts, LannerPair { module, bit }))
                });
                let (segments, wired) = each
                    .map(|(facts, pair)| {
                        ((format!("{}.pair{}", facts.name, pair.bit + 1), None), pair)
                    })
                    .unzip();
                list.push(Wiring {
                    title: Some(name.to_uppercase()),
                    model: Some(name),
                    facts: vec![common.clone(), own.clone()],
                    spec: ControllerSpec::LannerGen3 {
                        adapter: adapter.clone(),
                        modules: modules.clone(),
                        pairs: wired,
                    },
                    segments,
                });
            }
        }
        list
    }

    fn modules(&self, model: &RawLannerModel, findings: &mut Findings) -> Vec<LannerModule> {
        let mut modules = Vec::new();
        if model.onboard == Onboard::Present {
            modules.push(LannerModule {
                name: "onboard".to_owned(),
                address: words::address("onboard_address", &self.onboard_address, findings),
                mux: Vec::new(),
            });
        }
        for (index, hops) in model.slots.get_ref().iter().enumerate() {
            if hops.is_empty() || hops.len() > HOPS_MAX {
                findings.refuse(
                    Mistake::new(
                        model.slots.span(),
                        format!("slot {} has {} mux hops", index + 1, hops.len()),
                    )
                    .label(format!(
                        "allowed: 1 to {HOPS_MAX}; all slot modules share one address"
                    )),
                );
            }
            modules.push(LannerModule {
                name: format!("slot{}", index + 1),
                address: words::address("slot_address", &self.slot_address, findings),
                mux: hops
                    .iter()
                    .map(|hop| hop.get_ref().understand(findings))
                    .collect(),
            });
        }
        if modules.is_empty() {
            findings.refuse(Mistake::new(
                model.slots.span(),
                "a model without any bypass module",
            ));
        }
        modules
    }
}

impl RawHop {
    fn understand(&self, findings: &mut Findings) -> (u8, u8) {
        let mux = words::address("mux", &self.mux, findings);
        // PCA954x: the channel byte is a bit mask; two bits at once would join two slots whose modules have
        // the same address, and both would obey.
        let channel = match u8::try_from(*self.channel.get_ref()) {
            Ok(channel) if channel.is_power_of_two() => channel,
            _ => {
                findings.refuse(
                    Mistake::new(
                        self.channel.span(),
                        format!(
                            "channel = 0x{:02x} does not select one channel",
                            self.channel.get_ref()
                        ),
                    )
                    .label("allowed: 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80"),
                );
                1
            }
        };
        (mux, channel)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCaswell {
    source: Spanned<String>,
    confidence: Confidence,
    adapter: Spanned<String>,
    settings_address: Spanned<i64>,
    bypass_or_open_bits: Spanned<Vec<Spanned<i64>>>,
    nextboot_bits: Spanned<Vec<Spanned<i64>>>,
    period: RawPeriod,
    model: Vec<RawCaswellModel>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawPeriod {
    PerSegment,
    Shared,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCaswellModel {
    source: Spanned<String>,
    confidence: Confidence,
    names: Vec<Spanned<String>>,
    chips: Spanned<Vec<Spanned<i64>>>,
}

impl RawCaswell {
    pub(super) fn wirings(&self, findings: &mut Findings) -> Vec<Wiring> {
        let common = fact("controller", &self.source, self.confidence, findings);
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for model in &self.model {
            let own = fact(
                "controller.model",
                &model.source,
                model.confidence,
                findings,
            );
            let chips = self.chips(model, findings);
            for name in model_names(&model.names, &mut seen, findings) {
                list.push(self.wiring(
                    name,
                    chips.clone(),
                    vec![common.clone(), own.clone()],
                    findings,
                ));
            }
        }
        list
    }

    fn wiring(
        &self,
        model: String,
        chips: Vec<CaswellChip>,
        facts: Vec<FactSource>,
        findings: &mut Findings,
    ) -> Wiring {
        let letters = 'a'..='z';
        let segments = letters
            .take(chips.len())
            .map(|letter| (format!("segment-{letter}"), None));
        Wiring {
            title: Some(model.to_uppercase()),
            model: Some(model),
            facts,
            segments: segments.collect(),
            spec: ControllerSpec::CaswellGen2 {
                adapter: words::adapter(&self.adapter, findings),
                settings_address: words::address(
                    "settings_address",
                    &self.settings_address,
                    findings,
                ),
                chips,
                period: match self.period {
                    RawPeriod::PerSegment => CaswellPeriod::PerSegment,
                    RawPeriod::Shared => CaswellPeriod::Shared,
                },
            },
        }
    }

    fn chips(&self, model: &RawCaswellModel, findings: &mut Findings) -> Vec<CaswellChip> {
        let bits = (&self.bypass_or_open_bits, &self.nextboot_bits);
        let most = bits.0.get_ref().len().min(bits.1.get_ref().len());
        let chips = model.chips.get_ref();
        if chips.is_empty() || chips.len() > most {
            findings.refuse(
                Mistake::new(model.chips.span(), format!("{} segments", chips.len()))
                    .label(format!("the settings chip has bits for 1 to {most}")),
            );
        }
        let wired = chips.iter().zip(bits.0.get_ref()).zip(bits.1.get_ref());
        wired
            .map(|((chip, bpe), nextboot)| CaswellChip {
                address: words::address("chips", chip, findings),
                bpe_bit: findings.number("bypass_or_open_bits", bpe, 0..=7),
                nextboot_bit: findings.number("nextboot_bits", nextboot, 0..=7),
            })
            .collect()
    }
}

/// Model names of one entry, each only once in the family.
fn model_names(
    raw: &[Spanned<String>],
    seen: &mut BTreeSet<String>,
    findings: &mut Findings,
) -> Vec<String> {
    raw.iter()
        .map(|name| {
            if !seen.insert(name.get_ref().clone()) {
                findings.refuse(
                    Mistake::new(
                        name.span(),
                        format!("model `{}` is named twice", name.get_ref()),
                    )
                    .label("which one would be right?"),
                );
            }
            words::name(name, findings)
        })
        .collect()
}
