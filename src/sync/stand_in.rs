//! Programs that tests put in the place of real ones.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes an executable file. By a process of its own: while this one held it open for writing, a child that another test
/// starts just then would hold it too, and the kernel refuses to run a file that is being written.
pub(crate) fn write(path: &Path, text: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut into = writer.stdin.take().unwrap();
    into.write_all(text.as_bytes()).unwrap();
    drop(into);
    assert!(writer.wait().unwrap().success());
}
