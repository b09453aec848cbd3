//! `hil report` and `hil picture`: results made visible again, without running anything.

use std::path::Path;

use anyhow::{Context, Result};
use fencepost_hil::report;

/// The page of a folder.
pub(crate) fn page(folder: &Path) -> Result<()> {
    let written = report::write(folder)?;
    println!("{}", written.page.display());
    println!("{}", written.totals);
    for (file, reason) in &written.unreadable {
        eprintln!(
            "hil: {} is on the page as no result: {reason}",
            file.display()
        );
    }
    Ok(())
}

/// One picture.
pub(crate) fn picture(file: &Path, svg: &Path) -> Result<()> {
    let drawn = report::standalone(&report::read(file)?);
    std::fs::write(svg, drawn).with_context(|| format!("cannot write {}", svg.display()))?;
    println!("{}", svg.display());
    Ok(())
}
