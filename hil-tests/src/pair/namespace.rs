//! A network namespace of the rig's own: an appliance's kernel, as far as the network goes.

use std::path::Path;
use std::process::Command;

use crate::command::output;
use crate::error::{Result, RigError};
use crate::wire::neighbour::Mac;

/// A named namespace; goes with us, and with it whatever runs in it loses its links.
#[derive(Debug)]
pub struct Namespace(String);

impl Namespace {
    /// Makes it, with its loopback up.
    pub fn add(name: &str) -> Result<Self> {
        output(Command::new("ip").args(["netns", "add", name]))?;
        let made = Self(name.to_owned());
        made.ip(&["link", "set", "lo", "up"])?;
        Ok(made)
    }

    /// As `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// `ip` in this namespace; what it printed.
    pub fn ip(&self, words: &[&str]) -> Result<String> {
        output(Command::new("ip").args(["-n", &self.0]).args(words))
    }

    /// Runs a shell script in it; what it printed.
    pub fn shell(&self, script: &str) -> Result<String> {
        output(self.command(Path::new("sh")).args(["-c", script]))
    }

    /// A program that will run in this namespace.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }

    /// Gives an interface an address.
    pub fn address(&self, interface: &str, address: &str) -> Result<()> {
        self.ip(&["address", "add", address, "dev", interface])
            .map(drop)
    }

    /// A cable from an interface here to one in another namespace, both up.
    pub fn cable(&self, here: &str, other: &Self, there: &str) -> Result<()> {
        let words = [
            "link", "add", here, "netns", &self.0, "type", "veth", "peer", "name", there, "netns",
            &other.0,
        ];
        output(Command::new("ip").args(words))?;
        self.ip(&["link", "set", here, "up"])?;
        other.ip(&["link", "set", there, "up"]).map(drop)
    }

    /// An interface's hardware address.
    pub fn mac(&self, interface: &str) -> Result<Mac> {
        let told = self.ip(&["-json", "link", "show", "dev", interface])?;
        let links: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
        let text = links[0]["address"].as_str().unwrap_or_default();
        let bytes: Vec<u8> = text
            .split(':')
            .filter_map(|byte| u8::from_str_radix(byte, 16).ok())
            .collect();
        bytes.try_into().map_err(|_| {
            RigError::Input(format!(
                "interface {interface} has no hardware address: {told}"
            ))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}
