//! NXP PCA9555: two 8-bit ports behind eight registers.
//!
//! Facts: registers 0/1 input, 2/3 output, 4/5 polarity inversion, 6/7 direction (1 = input); the pointer
//! runs within a register pair, in writes and reads; after power-up all pins are inputs, outputs are 0xFF.
//! A pin that nobody drives is pulled up by the part itself.

/// The expander alone; what is wired to its pins is told on every access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pca9555 {
    output: [u8; 2],
    invert: [u8; 2],
    direction: [u8; 2],
    pointer: u8,
}

impl Default for Pca9555 {
    fn default() -> Self {
        Self {
            output: [0xFF; 2],
            invert: [0; 2],
            direction: [0xFF; 2],
            pointer: 0,
        }
    }
}

impl Pca9555 {
    /// Sets the pointer, as the first byte of a write does.
    pub fn point(&mut self, register: u8) {
        self.pointer = register & 0x07;
    }

    /// Writes the register under the pointer and moves on within the pair. Inputs cannot be written.
    pub fn store(&mut self, value: u8) {
        let port = usize::from(self.pointer & 1);
        match self.pointer >> 1 {
            1 => self.output[port] = value,
            2 => self.invert[port] = value,
            3 => self.direction[port] = value,
            _ => {}
        }
        self.pointer ^= 1;
    }

    /// Reads the register under the pointer and moves on within the pair. `outside` is what others drive.
    pub fn load(&mut self, outside: [u8; 2]) -> u8 {
        let port = usize::from(self.pointer & 1);
        let value = match self.pointer >> 1 {
            0 => self.pins(outside)[port] ^ self.invert[port],
            1 => self.output[port],
            2 => self.invert[port],
            _ => self.direction[port],
        };
        self.pointer ^= 1;
        value
    }

    /// Levels on the pins: its own where it drives, else what others drive or pull.
    pub fn pins(&self, outside: [u8; 2]) -> [u8; 2] {
        [0, 1].map(|port| {
            let inputs = self.direction[port];
            (self.output[port] & !inputs) | (outside[port] & inputs)
        })
    }

    /// What the output register of a port holds, driven or not.
    pub fn output(&self, port: usize) -> u8 {
        self.output.get(port).copied().unwrap_or(u8::MAX)
    }

    /// Whether the part drives a pin.
    pub fn drives(&self, port: usize, bit: u8) -> bool {
        self.direction.get(port).is_some_and(|d| d >> bit & 1 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PULLED: [u8; 2] = [0xFF; 2];

    #[test]
    fn after_power_up_all_pins_are_inputs_and_outputs_are_high() {
        let mut part = Pca9555::default();
        part.point(0);
        let all: Vec<_> = (0..8)
            .map(|register| {
                part.point(register);
                part.load([0x12, 0x34])
            })
            .collect();
        assert_eq!(all, [0x12, 0x34, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
    }

    #[test]
    fn the_pointer_stays_within_its_pair() {
        let mut part = Pca9555::default();
        part.point(2);
        part.store(0xA1);
        part.store(0xB2);
        part.store(0xC3);
        assert_eq!((part.output(0), part.output(1)), (0xC3, 0xB2));
        part.point(3);
        assert_eq!([part.load(PULLED), part.load(PULLED)], [0xB2, 0xC3]);
    }

    #[test]
    fn outputs_reach_the_pins_only_where_driven_and_inversion_only_what_is_read() {
        let mut part = Pca9555::default();
        for (register, value) in [(2, 0x00), (6, 0xF0), (4, 0x0F)] {
            part.point(register);
            part.store(value);
        }
        assert_eq!(part.pins(PULLED)[0], 0xF0);
        part.point(0);
        assert_eq!(part.load(PULLED), 0xFF);
        assert!(part.drives(0, 3) && !part.drives(0, 4));
    }

    #[test]
    fn the_input_register_cannot_be_written() {
        let mut part = Pca9555::default();
        part.point(0);
        part.store(0);
        assert_eq!(part.pins(PULLED), PULLED);
    }
}
