//! What the pair keeps alike, as part of the plan.

use core::fmt::Write as _;

use fencepost_sync::activation::On;
use fencepost_sync::category::{Category, Contents, Files, Source};
use fencepost_sync::hooks::Hook;
use fencepost_sync::settings::Settings;

use fencepost_sync::session::CHECK_EVERY;

use super::chain::ms;

/// Patterns shown of one list.
const SHOWN_MAX: usize = 4;

pub(super) fn write(settings: &Settings, out: &mut String) -> core::fmt::Result {
    let ways: Vec<&str> = settings.ways.iter().map(|way| way.name.as_str()).collect();
    let port = settings.ways.first().map_or(0, |way| way.local.port());
    writeln!(
        out,
        "\nsync over {}, TCP port {port}; compared every {}; {} generations kept",
        ways.join(" and "),
        ms(CHECK_EVERY),
        settings.history
    )?;
    for category in &settings.categories {
        write_category(category, out)?;
    }
    for activation in &settings.activations {
        let on = match activation.on {
            On::Backup => "on the Backup",
            On::Both => "on both nodes",
        };
        let run = program(&activation.hook);
        writeln!(out, "  run {:<16} {on}: {run}", activation.name)?;
    }
    Ok(())
}

fn write_category(category: &Category, out: &mut String) -> core::fmt::Result {
    writeln!(
        out,
        "  {:<20} priority {}",
        category.id.as_str(),
        category.priority
    )?;
    match &category.contents {
        Contents::Files(files) => write_files(files, out)?,
        Contents::Export(exporter) => {
            let every = ms(exporter.every);
            match &exporter.source {
                Source::Sqlite { database } => {
                    writeln!(
                        out,
                        "    database   {}, at most every {every}",
                        database.display()
                    )?;
                }
                Source::Command { export, import } => {
                    writeln!(
                        out,
                        "    export     {}, at most every {every}",
                        program(export)
                    )?;
                    writeln!(out, "    import     {}", program(import))?;
                }
            }
        }
    }
    let hooks = [
        ("validate", &category.hooks.validate),
        ("reload", &category.hooks.reload),
    ];
    for (word, hook) in hooks {
        if let Some(hook) = hook {
            writeln!(out, "    {word:<10} {}", program(hook))?;
        }
    }
    Ok(())
}

fn write_files(files: &Files, out: &mut String) -> core::fmt::Result {
    let roots: Vec<String> = files
        .roots
        .iter()
        .map(|root| root.display().to_string())
        .collect();
    writeln!(out, "    below      {}", roots.join(" "))?;
    let lists = [
        ("only", &files.filter.include),
        ("not", &files.filter.exclude),
        ("node's own", &files.filter.node_local),
    ];
    for (word, list) in lists {
        if !list.is_empty() {
            writeln!(out, "    {word:<10} {}", shown(list))?;
        }
    }
    Ok(())
}

fn shown(list: &[String]) -> String {
    let first = &list[..list.len().min(SHOWN_MAX)];
    match list.len() - first.len() {
        0 => first.join(" "),
        more => format!("{} and {more} more", first.join(" ")),
    }
}

fn program(hook: &Hook) -> String {
    format!("{}, within {}", hook.argv.join(" "), ms(hook.limit))
}
