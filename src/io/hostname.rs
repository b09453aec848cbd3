//! The name of this host, as its kernel has it.

use crate::wire::Text;

/// The name, or `None` if there is none that can be told.
pub fn read() -> Option<Text> {
    let names = nix::sys::utsname::uname().ok()?;
    Text::of(&names.nodename().to_string_lossy())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_kernels() {
        let kernels = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(super::read(), super::Text::of(&kernels));
    }
}
