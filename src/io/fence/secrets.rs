//! A program's options that nobody else may read: one `key=value` per line; `#` begins a remark.
//!
//! Read anew for each run, so that a changed password needs no restart. No error repeats what stands in the file.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::program::INPUT_BYTES_MAX;

/// The lines, as the program reads them.
///
/// # Errors
/// It cannot be read, others may open it, it is too long, or a line is no option.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let file = path.display();
    // Judged by its descriptor: what is read is what was looked at. A fifo must not hold us up.
    let open = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| format!("secrets file {file}: {error}"))?;
    let facts = open
        .metadata()
        .map_err(|error| format!("secrets file {file}: {error}"))?;
    let mode = facts.mode() & 0o7777;
    if !facts.is_file() {
        return Err(format!("secrets file {file}: it is no regular file"));
    }
    if mode & 0o077 != 0 {
        return Err(format!(
            "secrets file {file}: others may open it (mode {mode:04o}, must be 0600); run: chmod 600 {file}"
        ));
    }
    let mut text = String::new();
    let limit = u64::try_from(INPUT_BYTES_MAX).unwrap_or(u64::MAX);
    open.take(limit + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("secrets file {file}: {error}"))?;
    if text.len() > INPUT_BYTES_MAX {
        return Err(format!(
            "secrets file {file}: longer than {INPUT_BYTES_MAX} bytes"
        ));
    }
    options(&text).map_err(|line| {
        format!(
            "secrets file {file}:{line}: not an option; key=value is meant, and never the action"
        )
    })
}

/// The number of the line that is none.
fn options(text: &str) -> Result<String, usize> {
    let mut options = String::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.split_once('=').map(|(key, _)| key).ok_or(number)?;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if key.is_empty() || key == "action" || !key.chars().all(plain) {
            return Err(number);
        }
        options.push_str(line);
        options.push('\n');
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn remarks_go_and_values_stay_as_they_are() {
        let (_folder, path) = file("# remark\n\n  password=a = b #c\nlogin=x\n", 0o600);
        assert_eq!(read(&path).unwrap(), "password=a = b #c\nlogin=x\n");
    }

    #[test]
    fn what_others_may_open_is_refused() {
        for mode in [0o640, 0o604, 0o620] {
            let (_folder, path) = file("password=x\n", mode);
            let error = read(&path).unwrap_err();
            assert!(error.contains("others may open it"), "{error}");
        }
    }

    #[test]
    fn bad_lines_are_placed_and_not_repeated() {
        for bad in ["hunter2", "=hunter2", "action=hunter2", "a b=hunter2"] {
            let (_folder, path) = file(&format!("login=x\n{bad}\n"), 0o600);
            let error = read(&path).unwrap_err();
            assert!(error.contains(":2: not an option"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let (_folder, path) = file(&"a=b\n".repeat(INPUT_BYTES_MAX), 0o600);
        assert!(read(&path).unwrap_err().contains("longer than 4096 bytes"));
        let error = read(Path::new("/nonexistent/secrets")).unwrap_err();
        assert!(
            error.contains("/nonexistent/secrets: No such file"),
            "{error}"
        );
    }
}
