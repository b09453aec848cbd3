//! Every shipped profile: it loads, its typed form is as recorded, and mistakes are reported where they are.
//!
//! `FENCEPOST_BLESS=1 cargo test` writes the recorded files anew; read the difference before committing it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fencepost::board::profile::{Confidence, ControllerSpec, LannerPair};
use fencepost::board::raw;
use fencepost::board::{Board, catalogue};
use fencepost::diagnose::Source;

#[path = "support/golden.rs"]
mod golden;

use golden::golden;

fn shipped() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

fn parse(path: &Path) -> raw::Profile {
    let source = Source::read(path).unwrap();
    raw::parse(&stem(path), &source).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn every_shipped_profile_loads_and_its_typed_form_is_as_recorded() {
    let paths = shipped();
    assert!(paths.len() >= 7, "only {} profiles found", paths.len());
    for path in paths {
        let profile = parse(&path);
        golden(&format!("board-{}.txt", profile.id), &typed_form(&profile));
    }
}

/// Facts once in full (all models of a profile share them), then what differs by model.
fn typed_form(profile: &raw::Profile) -> String {
    let first = &profile.boards[0];
    let mut text = format!("{}: {}\n", profile.id, profile.title);
    for (key, value) in [
        ("dead_man", serde_json::to_string(&first.dead_man)),
        ("on_release", serde_json::to_string(&first.on_release)),
        ("fence", serde_json::to_string(&first.fence)),
        ("leds", serde_json::to_string(&first.leds)),
        ("buttons", serde_json::to_string(&first.buttons)),
        (
            "run_time",
            serde_json::to_string(&first.segments[0].run_time),
        ),
        (
            "power_up",
            serde_json::to_string(&first.segments[0].power_up),
        ),
        (
            "power_off",
            serde_json::to_string(&first.segments[0].power_off),
        ),
        ("expiry", serde_json::to_string(&first.segments[0].expiry)),
        ("settle", serde_json::to_string(&first.segments[0].settle)),
        (
            "read_back",
            serde_json::to_string(&first.segments[0].read_back),
        ),
    ] {
        writeln!(text, "{key}: {}", value.unwrap()).unwrap();
    }
    for fact in first
        .facts
        .iter()
        .filter(|fact| fact.table != "controller.model")
    {
        writeln!(
            text,
            "{:?} [{}] {}",
            fact.confidence, fact.table, fact.source
        )
        .unwrap();
    }
    for board in &profile.boards {
        writeln!(
            text,
            "\n{} ({:?}): {}",
            board.id, board.confidence, board.title
        )
        .unwrap();
        for fact in board
            .facts
            .iter()
            .filter(|fact| fact.table == "controller.model")
        {
            writeln!(text, "  {:?} {}", fact.confidence, fact.source).unwrap();
        }
        wiring(board, &mut text);
    }
    text
}

/// A Lanner model has up to 72 pairs, all alike: its modules tell everything.
fn wiring(board: &Board, text: &mut String) {
    let names = names(board);
    if let ControllerSpec::LannerGen3 { modules, pairs, .. } = &board.controller {
        for module in modules {
            writeln!(text, "  {}", serde_json::to_string(module).unwrap()).unwrap();
        }
        let last = names.last().unwrap();
        writeln!(text, "  {} pairs: {} to {last}", pairs.len(), names[0]).unwrap();
    } else {
        writeln!(
            text,
            "  {}",
            serde_json::to_string(&board.controller).unwrap()
        )
        .unwrap();
        writeln!(text, "  segments: {}", names.join(" ")).unwrap();
    }
}

#[test]
fn the_built_in_catalogue_is_what_the_repository_ships() {
    let built_in: Vec<String> = catalogue::list(&[]).into_iter().map(|e| e.id).collect();
    let files: Vec<String> = shipped().iter().map(|path| stem(path)).collect();
    assert_eq!(built_in, files);
    for entry in catalogue::list(&[]) {
        let profile = entry.profile.unwrap();
        assert_eq!(profile, parse(&profile_path(&entry.id)));
    }
}

#[test]
fn a_board_is_loaded_by_name_or_family_and_model() {
    let board = catalogue::load(&[], "reference").unwrap();
    assert_eq!(board.segments.len(), 2);
    let board = catalogue::load(&[], "lanner-gen3/mb-8771").unwrap();
    assert_eq!(board.segments.len(), 4 * 8);
    let error = catalogue::load(&[], "lanner-gen3").unwrap_err().to_string();
    assert!(error.contains("`lanner-gen3` is a family"), "{error}");
    let error = catalogue::load(&[], "lanner-gen3/mb-8772")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("did you mean `lanner-gen3/mb-877"),
        "{error}"
    );
    let error = catalogue::load(&[], "referense").unwrap_err().to_string();
    assert!(error.contains("did you mean `reference`?"), "{error}");
}

#[test]
fn a_sites_own_profile_hides_the_installed_one_and_a_broken_one_is_not_skipped() {
    let site = tempfile::tempdir().unwrap();
    let dirs = [site.path().to_owned()];
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/reference.toml"),
    )
    .unwrap();
    let file = site.path().join("reference.toml");
    std::fs::write(&file, text.replace("address = 0x42", "address = 0x43")).unwrap();
    let board = catalogue::load(&dirs, "reference").unwrap();
    let json = serde_json::to_string(&board.controller).unwrap();
    assert!(json.contains("\"address\":67"), "{json}");

    std::fs::write(&file, "schema = 1\n").unwrap();
    assert!(catalogue::load(&dirs, "reference").is_err());
    assert_eq!(
        catalogue::list(&dirs)
            .iter()
            .filter(|e| e.profile.is_err())
            .count(),
        1
    );
}

#[test]
fn a_profile_anybody_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let site = tempfile::tempdir().unwrap();
    let file = site.path().join("mine.toml");
    std::fs::write(&file, "schema = 1\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let error = catalogue::load(&[site.path().to_owned()], "mine")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("everybody may write it (mode 0666)"),
        "{error}"
    );
}

fn names(board: &Board) -> Vec<&str> {
    board.segments.iter().map(|s| s.name.as_str()).collect()
}

#[test]
fn a_site_uses_part_of_a_board_and_the_rest_is_never_addressed() {
    let board = catalogue::load(&[], "lanner-gen3/mb-8771").unwrap();
    let wanted: Vec<usize> = ["slot2.pair1", "slot4.pair3"]
        .iter()
        .map(|name| board.segments.iter().position(|s| s.name == *name).unwrap())
        .collect();
    let part = board.only(&wanted).unwrap();
    assert_eq!(names(&part), ["slot2.pair1", "slot4.pair3"]);
    let ControllerSpec::LannerGen3 { modules, pairs, .. } = part.controller else {
        panic!("not a Lanner");
    };
    let muxes: Vec<&[(u8, u8)]> = modules.iter().map(|m| m.mux.as_slice()).collect();
    assert_eq!(muxes, [&[(0x73, 0x02)], &[(0x73, 0x08)]]);
    assert_eq!(
        pairs,
        [
            LannerPair { module: 0, bit: 0 },
            LannerPair { module: 1, bit: 2 }
        ]
    );
}

#[test]
fn segments_counted_from_the_first_cannot_be_skipped() {
    let board = catalogue::load(&[], "reference").unwrap();
    assert!(board.only(&[0]).is_ok());
    let error = board.only(&[1]).unwrap_err();
    assert!(
        error.contains("use them in order from `segment1`"),
        "{error}"
    );
}

/// Each mistake is one replacement in a good profile.
const MISTAKES: [(&str, &str, &str, &str); 17] = [
    (
        "unknown key",
        "reference",
        "read_back = \"contacts\"",
        "read_bak = \"contacts\"",
    ),
    (
        "unknown word",
        "reference",
        "read_back = \"contacts\"",
        "read_back = \"contact\"",
    ),
    (
        "unknown controller",
        "reference",
        "[controller.reference]",
        "[controller.refrence]",
    ),
    (
        "facts without source",
        "reference",
        "confidence = \"high\"\nms = 10",
        "ms = 10",
    ),
    (
        "an empty source",
        "riverbed",
        "source = \"rbmode.py knows none\"",
        "source = \" \"",
    ),
    (
        "an 8-bit address",
        "reference",
        "address = 0x42",
        "address = 0x84",
    ),
    (
        "two segments of one name",
        "reference",
        "name = \"segment2\"",
        "name = \"segment1\"",
    ),
    (
        "a mux on two channels",
        "lanner-gen3",
        "{ mux = 0x73, channel = 0x02 }",
        "{ mux = 0x73, channel = 0x03 }",
    ),
    (
        "a line by number",
        "gpio-monostable",
        "name = \"FENCEPOST_COIL1\"",
        "name = 7",
    ),
    (
        "a line of a chip by probe order",
        "gpio-monostable",
        "name = \"FENCEPOST_COIL1\"",
        "name = \"gpiochip3:7\"",
    ),
    (
        "a chip by probe order",
        "gpio-monostable",
        "name = \"FENCEPOST_COIL1\"",
        "chip = \"gpiochip3\", offset = 7",
    ),
    (
        "an adapter by probe order",
        "riverbed",
        "/dev/fencepost/smbus",
        "/dev/i2c-7",
    ),
    (
        "power-up to normal",
        "reference",
        "power_up = { possible = [\"bypass\", \"disconnect\"]",
        "power_up = { possible = [\"normal\"]",
    ),
    (
        "expiry to normal",
        "lanner-gen3",
        "expiry = { possible = [\"bypass\"]",
        "expiry = { possible = [\"bypass\", \"normal\"]",
    ),
    (
        "a dead-man of another kind",
        "reference",
        "kind = \"deadline\"",
        "kind = \"kick\"",
    ),
    (
        "a range upside down",
        "reference",
        "max_ms = 60_000",
        "max_ms = 40",
    ),
    ("not TOML", "reference", "address = 0x42", "address = "),
];

#[test]
fn mistakes_in_profiles_are_reported_as_recorded() {
    let mut text = String::new();
    for (what, id, from, to) in MISTAKES {
        let good = std::fs::read_to_string(profile_path(id)).unwrap();
        assert!(good.contains(from), "{what}: `{from}` is not in {id}");
        let bad = good.replacen(from, to, 1);
        let source = Source::new(format!("boards/{id}.toml"), bad);
        let mistakes = raw::parse(id, &source).expect_err(what);
        assert!(
            mistakes
                .places()
                .iter()
                .all(|(line, column, _)| *line > 1 && *column >= 1),
            "{what}"
        );
        writeln!(text, "=== {what}\n{mistakes}\n").unwrap();
    }
    golden("mistakes-profile.txt", &text);
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let good = std::fs::read_to_string(profile_path("reference")).unwrap();
    let bad = good
        .replace("0x42", "0x01")
        .replace("segment2", "segment1")
        .replace("schema = 1", "schema = 9");
    let mistakes = raw::parse("reference", &Source::new("x.toml", bad)).unwrap_err();
    assert_eq!(mistakes.places().len(), 3, "{mistakes}");
}

fn profile_path(id: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("boards")
        .join(format!("{id}.toml"))
}

#[test]
fn fence_lines_leds_and_buttons_are_read() {
    let good = std::fs::read_to_string(profile_path("gpio-monostable")).unwrap();
    let facts = "source = \"a test\"\nconfidence = \"medium\"\n";
    let more = format!(
        "{good}\n[fence]\n{facts}held_by = \"lines\"\norder = {{ name = \"F_OUT\", active = \"low\" }}\n\
         acknowledge = {{ name = \"F_IN\", active = \"high\" }}\n\
         [[led]]\n{facts}name = \"bypass\"\nline = {{ name = \"LED\", active = \"low\" }}\n\
         [[button]]\n{facts}name = \"hold\"\nline = {{ name = \"BUTTON\", active = \"low\" }}\n"
    );
    let profile = raw::parse("x", &Source::new("x.toml", more)).unwrap();
    let board = &profile.boards[0];
    let fence = serde_json::to_string(&board.fence).unwrap();
    assert!(fence.contains("F_OUT") && fence.contains("F_IN"), "{fence}");
    assert_eq!((board.leds.len(), board.buttons.len()), (1, 1));
    assert_eq!(
        board.confidence,
        Confidence::Medium,
        "a board is as sure as its weakest table"
    );
}

proptest::proptest! {
    /// Whatever is cut out of or written into a profile, it is understood or refused in words.
    #[test]
    fn a_damaged_profile_never_panics(from in 0usize..6000, length in 0usize..40, with in "[ -~\\n\u{e9}\u{2192}]{0,12}") {
        for id in ["reference", "lanner-gen3", "caswell-gen2", "gpio-latching"] {
            let mut text: Vec<char> = std::fs::read_to_string(profile_path(id)).unwrap().chars().collect();
            let from = from % text.len();
            let to = (from + length).min(text.len());
            text.splice(from..to, with.chars());
            let text: String = text.into_iter().collect();
            if let Err(mistakes) = raw::parse(id, &Source::new("damaged.toml", text)) {
                assert!(mistakes.to_string().contains("error: "));
            }
        }
    }
}
