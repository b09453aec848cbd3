//! NXP PCA9555: a 16-bit I/O expander, as relay boards use it.
//!
//! The chip is an input, output and direction register for each of two ports of eight pins. At power-up all pins
//! are inputs and the output registers read 0xff. Output registers keep what was written even while a pin is an
//! input; input registers show what is on the pins, whoever drives them.
//!
//! Nothing is cached: after a restart of the agent a remembered 0xff would release every other pin of the port with
//! the first write of one. Each change is read, modify, write, and only if it differs.

use super::bus::SmBus;
use super::controller::Fault;

/// Registers, as the data sheet numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Register {
    Input1 = 1,
    Output0 = 2,
    Output1 = 3,
    Direction0 = 6,
    Direction1 = 7,
}

/// One chip on a bus that the caller holds locked.
pub(crate) struct Pca9555<'bus> {
    bus: &'bus mut dyn SmBus,
    address: u8,
}

impl<'bus> Pca9555<'bus> {
    pub(crate) fn new(bus: &'bus mut dyn SmBus, address: u8) -> Self {
        Self { bus, address }
    }

    pub(crate) fn read(&mut self, register: Register) -> Result<u8, Fault> {
        Ok(self.bus.read_byte_data(self.address, register as u8)?)
    }

    pub(crate) fn write(&mut self, register: Register, value: u8) -> Result<(), Fault> {
        Ok(self
            .bus
            .write_byte_data(self.address, register as u8, value)?)
    }

    /// Bring the bits of `mask` to `value`, others as they are; read back what was written.
    pub(crate) fn bring(&mut self, register: Register, mask: u8, value: u8) -> Result<(), Fault> {
        let now = self.read(register)?;
        let wanted = now & !mask | value & mask;
        if now == wanted {
            return Ok(());
        }
        self.write(register, wanted)?;
        let got = self.read(register)?;
        if got == wanted {
            return Ok(());
        }
        Err(Fault::Integrity {
            what: format!("PCA9555 0x{:02x} register {}", self.address, register as u8),
            expected: format!("0x{wanted:02x}"),
            got: format!("0x{got:02x}"),
        })
    }

    /// A low-going pulse on one output whose idle level is high: high, low, high. At 100 kHz each write takes about
    /// 0.3 ms, which is the pulse's length.
    pub(crate) fn pulse_low(&mut self, register: Register, pin: u8) -> Result<(), Fault> {
        let now = self.read(register)?;
        if now & pin == 0 {
            // An earlier pulse was cut short; without this there would be no falling edge.
            self.write(register, now | pin)?;
        }
        self.write(register, now & !pin)?;
        self.write(register, now | pin)
    }

    /// The same pulse; where all idle levels of the port are known, no level is read, and none misread and written back.
    pub(crate) fn pulse_low_from(
        &mut self,
        register: Register,
        idle: Option<u8>,
        pin: u8,
    ) -> Result<(), Fault> {
        let Some(idle) = idle else {
            return self.pulse_low(register, pin);
        };
        self.write(register, idle)?;
        self.write(register, idle & !pin)?;
        self.write(register, idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::script::Script;

    fn with<T>(script: &Script, act: impl FnOnce(&mut Pca9555<'_>) -> T) -> T {
        let mut bus = script.bus();
        bus.lock().unwrap();
        let outcome = act(&mut Pca9555::new(bus.as_mut(), 0x26));
        script.assert_done();
        outcome
    }

    #[test]
    fn an_equal_value_is_not_written() {
        let script = Script::new();
        script.read(0x26, 2, 0b1010_1011);
        assert_eq!(
            with(&script, |chip| chip.bring(
                Register::Output0,
                0xfc,
                0b1010_1000
            )),
            Ok(())
        );
    }

    #[test]
    fn other_bits_come_from_the_chip() {
        let script = Script::new();
        script
            .read(0x26, 3, 0x2f)
            .write(0x26, 3, 0x3f)
            .read(0x26, 3, 0x3f);
        assert_eq!(
            with(&script, |chip| chip.bring(Register::Output1, 0x10, 0x10)),
            Ok(())
        );
    }

    #[test]
    fn a_write_that_did_not_take_is_found() {
        let script = Script::new();
        script
            .read(0x26, 3, 0x2f)
            .write(0x26, 3, 0x3f)
            .read(0x26, 3, 0x2f);
        let fault = with(&script, |chip| chip.bring(Register::Output1, 0x10, 0x10)).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "PCA9555 0x26 register 3: expected 0x3f, got 0x2f"
        );
    }

    #[test]
    fn a_pulse_has_a_falling_edge_even_after_one_cut_short() {
        let script = Script::new();
        script
            .read(0x26, 2, 0xff)
            .write(0x26, 2, 0xfe)
            .write(0x26, 2, 0xff);
        assert_eq!(
            with(&script, |chip| chip.pulse_low(Register::Output0, 1)),
            Ok(())
        );

        let script = Script::new();
        script.read(0x26, 2, 0xfe);
        script
            .write(0x26, 2, 0xff)
            .write(0x26, 2, 0xfe)
            .write(0x26, 2, 0xff);
        assert_eq!(
            with(&script, |chip| chip.pulse_low(Register::Output0, 1)),
            Ok(())
        );
    }
}
