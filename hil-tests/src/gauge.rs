//! `hil bench`, and the small programs it needs: a check with a timed verdict, and a register setter as vendors' tools are.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fencepost::sim::remote::{I2cOperation, Reply, Request, read_frame, write_frame};
use fencepost_hil::measure::{self, Plan, subject};

/// Measures and writes `bench.md` and `bench.json`.
pub(crate) fn bench(program: Option<&Path>, quick: bool, folder: &Path) -> Result<()> {
    let program = match program {
        Some(program) => program.to_path_buf(),
        None => fencepost_hil::appliance::files::program()?,
    };
    let program = program
        .canonicalize()
        .with_context(|| format!("cannot find {}", program.display()))?;
    let plan = if quick { Plan::QUICK } else { Plan::USUAL };
    let table = measure::run(plan, &program, &mut |what| eprintln!("hil: {what}"))?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let text = table.markdown();
    std::fs::write(folder.join("bench.md"), &text).context("cannot write bench.md")?;
    std::fs::write(
        folder.join("bench.json"),
        serde_json::to_vec_pretty(&table)?,
    )
    .context("cannot write bench.json")?;
    print!("{text}");
    println!("{}", folder.join("bench.md").display());
    Ok(())
}

/// The bench's check: `ok` passes; anything else is critical, and the moment is written down once, just before the exit.
pub(crate) fn verdict(file: &Path, stamp: &Path) -> ExitCode {
    if std::fs::read_to_string(file).is_ok_and(|text| text.trim() == "ok") {
        println!("OK - set by the bench");
        return ExitCode::SUCCESS;
    }
    println!("CRITICAL - set by the bench");
    if let Ok(mut once) = std::fs::File::create_new(stamp) {
        use std::io::Write;
        let _ = write!(once, "{}", subject::monotonic().as_nanos());
    }
    ExitCode::from(2)
}

/// Writes one byte to a register of a chip on a virtual board: what a vendor's command-line tool does.
pub(crate) fn i2cset(board: &Path, words: &[String]) -> Result<()> {
    let byte = |word: &String| -> Result<u8> {
        let parsed = match word.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16),
            None => word.parse(),
        };
        parsed.with_context(|| format!("{word} is no byte"))
    };
    let [address, register, value] = words else {
        bail!("give address, register and value")
    };
    let mut stream =
        UnixStream::connect(board).with_context(|| format!("no board at {}", board.display()))?;
    let operations = vec![I2cOperation::Write(vec![byte(register)?, byte(value)?])];
    write_frame(
        &mut stream,
        &Request::I2c {
            bus: 0,
            address: byte(address)?,
            operations,
        },
    )?;
    match read_frame::<Reply>(&mut stream)? {
        Some(Reply::I2c { .. }) => Ok(()),
        other => bail!("the board answered {other:?}"),
    }
}
