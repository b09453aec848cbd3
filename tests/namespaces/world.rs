//! Hosts on one switch, each in a network namespace of its own, all gone when the value is.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace.
pub(crate) struct Namespace {
    handle: File,
}

impl Namespace {
    pub(crate) fn new() -> std::io::Result<Self> {
        // A namespace belongs to a thread; the file keeps it when the thread is gone.
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        let handle = made.join().expect("the thread ends in order")?;
        Ok(Self { handle })
    }

    /// Do something inside.
    pub(crate) fn inside<R: Send>(&self, act: impl FnOnce() -> R + Send) -> R {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.handle, CloneFlags::CLONE_NEWNET).expect("the namespace is there");
                act()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// `ip` with these words, inside; what it printed.
    pub(crate) fn ip(&self, words: &str) -> String {
        let output = self.inside(|| {
            Command::new("ip")
                .args(words.split_whitespace())
                .output()
                .expect("`ip` of iproute2 runs")
        });
        assert!(output.status.success(), "ip {words}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn path(&self) -> String {
        format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.handle.as_raw_fd()
        )
    }
}

/// A switch with hosts `0..count`. Host n has `eth0`, 192.0.2.n+1/24, 2001:db8::n+1/64 and the MAC 02:00:00:00:00:n+1.
pub(crate) struct Lan {
    switch: Namespace,
    pub(crate) hosts: Vec<Namespace>,
}

impl Lan {
    pub(crate) fn new(count: usize) -> Self {
        let switch = Namespace::new().expect("a namespace can be made");
        switch.ip("link add br0 type bridge forward_delay 0 mcast_snooping 0");
        switch.ip("link set br0 up");
        let hosts = (1..=count).map(|n| {
            let host = Namespace::new().expect("a namespace can be made");
            let netns = host.path();
            switch.ip(&format!(
                "link add port{n} type veth peer name eth0 netns {netns}"
            ));
            switch.ip(&format!("link set port{n} master br0 up"));
            host.ip(&format!("link set eth0 address 02:00:00:00:00:{n:02x}"));
            host.ip("link set lo up");
            host.ip("link set eth0 up");
            host.ip(&format!("addr add 192.0.2.{n}/24 dev eth0"));
            host.ip(&format!("addr add 2001:db8::{n}/64 dev eth0 nodad"));
            host
        });
        let hosts = hosts.collect();
        Self { switch, hosts }
    }

    /// Pull or plug the cable of a host.
    pub(crate) fn cable(&self, host: usize, state: &str) {
        self.switch
            .ip(&format!("link set port{} {state}", host + 1));
    }
}

/// Wait until it is so; the machine may be slow, a minute is not slowness any more.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}
