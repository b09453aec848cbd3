//! SMBus transactions over an adapter that speaks plain I2C.
//!
//! Any `embedded_hal` bus becomes an [`SmBus`], with the packet error code computed here. Each SMBus transaction is one
//! I2C transaction of at most one write and one read: the bytes of a message are put into *one* buffer, because
//! adapters behind the Linux crate send adjacent writes as separate messages, with a START between them, and a
//! relay MCU takes the second one for a new command.
//!
//! A block read asks for the longest block there is and takes as many bytes as the target's count says: plain I2C
//! cannot stop a read in the middle. Targets send 0xff after their last byte.
//!
//! What if this dies here? Nothing is kept between transactions.

use embedded_hal::i2c::{ErrorKind, I2c, Operation, SevenBitAddress};

use super::bus::{BLOCK_BYTES_MAX, BusError, Pec, SmBus};

/// Holds an adapter for one sequence against other processes.
pub trait BusLock: Send {
    /// Take it, waiting a bounded time.
    ///
    /// # Errors
    /// [`BusError::Busy`] if somebody else kept it for too long.
    fn lock(&mut self) -> Result<(), BusError>;

    /// Give it back.
    fn unlock(&mut self);
}

/// No other process can reach this bus (simulators, tests).
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl BusLock for Alone {
    fn lock(&mut self) -> Result<(), BusError> {
        Ok(())
    }

    fn unlock(&mut self) {}
}

/// An `embedded_hal` bus as an [`SmBus`].
pub struct PlainI2c<T: I2c<SevenBitAddress>, L = Alone> {
    bus: T,
    lock: L,
    adapter: String,
    explain: Explain<T::Error>,
    blocks: Blocks,
}

/// Whether block transfers are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocks {
    Offered,
    Refused,
}

/// Puts a bus's own error into our words, given the adapter's name, the address and the transaction.
pub type Explain<E> = fn(&E, &str, u8, &str) -> BusError;

impl<T, L> PlainI2c<T, L>
where
    T: I2c<SevenBitAddress>,
    L: BusLock,
{
    /// `adapter` is its name for error texts.
    pub fn new(bus: T, lock: L, adapter: impl Into<String>) -> Self {
        Self {
            bus,
            lock,
            adapter: adapter.into(),
            explain: by_kind,
            blocks: Blocks::Offered,
        }
    }

    /// For a bus whose errors say more than `embedded_hal` has kinds for.
    #[must_use]
    pub fn explained_by(self, explain: Explain<T::Error>) -> Self {
        Self { explain, ..self }
    }

    /// Like a chipset's SMBus controller without block transfers, for tests of drivers that prefer them.
    #[must_use]
    pub fn without_blocks(self) -> Self {
        Self {
            blocks: Blocks::Refused,
            ..self
        }
    }

    fn check_blocks(&self, what: &str) -> Result<(), BusError> {
        if self.blocks == Blocks::Offered {
            return Ok(());
        }
        Err(BusError::Unsupported {
            adapter: self.adapter.clone(),
            transaction: what.to_owned(),
            offers: "byte and word transfers".to_owned(),
        })
    }

    fn write(&mut self, address: u8, bytes: &[u8], what: &str) -> Result<(), BusError> {
        self.transaction(address, &mut [Operation::Write(bytes)], what)
    }

    fn read(
        &mut self,
        address: u8,
        command: u8,
        bytes: &mut [u8],
        what: &str,
    ) -> Result<(), BusError> {
        let command = [command];
        self.transaction(
            address,
            &mut [Operation::Write(&command), Operation::Read(bytes)],
            what,
        )
    }

    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
        what: &str,
    ) -> Result<(), BusError> {
        self.bus
            .transaction(address, operations)
            .map_err(|error| (self.explain)(&error, &self.adapter, address, what))
    }

    fn pec_error(&self, address: u8, what: &str) -> BusError {
        BusError::Pec {
            adapter: self.adapter.clone(),
            address,
            transaction: what.to_owned(),
        }
    }
}

impl<T, L> SmBus for PlainI2c<T, L>
where
    T: I2c<SevenBitAddress> + Send,
    L: BusLock,
{
    fn adapter(&self) -> &str {
        &self.adapter
    }

    fn send_byte(&mut self, address: u8, value: u8) -> Result<(), BusError> {
        self.write(address, &[value], "send byte")
    }

    fn receive_byte(&mut self, address: u8) -> Result<u8, BusError> {
        let mut byte = [0];
        self.transaction(address, &mut [Operation::Read(&mut byte)], "receive byte")?;
        Ok(byte[0])
    }

    fn write_byte_data(&mut self, address: u8, command: u8, value: u8) -> Result<(), BusError> {
        self.write(address, &[command, value], "write byte data")
    }

    fn read_byte_data(&mut self, address: u8, command: u8) -> Result<u8, BusError> {
        let mut byte = [0];
        self.read(address, command, &mut byte, "read byte data")?;
        Ok(byte[0])
    }

    fn read_word_data(&mut self, address: u8, command: u8) -> Result<u16, BusError> {
        let mut bytes = [0; 2];
        self.read(address, command, &mut bytes, "read word data")?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn write_word_data(&mut self, address: u8, command: u8, value: u16) -> Result<(), BusError> {
        let [low, high] = value.to_le_bytes();
        self.write(address, &[command, low, high], "write word data")
    }

    fn block_write(
        &mut self,
        address: u8,
        command: u8,
        data: &[u8],
        pec: Pec,
    ) -> Result<(), BusError> {
        let what = "block write";
        self.check_blocks(what)?;
        let count = block_count(&self.adapter, data)?;
        let mut message = Vec::with_capacity(data.len() + 3);
        message.extend([command, count]);
        message.extend_from_slice(data);
        if pec == Pec::Checked {
            let mut covered = vec![address << 1];
            covered.extend_from_slice(&message);
            message.push(packet_error_code(&covered));
        }
        self.write(address, &message, what)
    }

    fn block_read(&mut self, address: u8, command: u8, pec: Pec) -> Result<Vec<u8>, BusError> {
        let what = "block read";
        self.check_blocks(what)?;
        let tail = usize::from(pec == Pec::Checked);
        let mut answer = [0; 1 + BLOCK_BYTES_MAX + 1];
        let longest = 1 + BLOCK_BYTES_MAX + tail;
        self.read(address, command, &mut answer[..longest], what)?;
        let count = usize::from(answer[0]);
        if count == 0 || count > BLOCK_BYTES_MAX {
            return Err(BusError::Io {
                what: format!("block read of 0x{address:02x} on {}", self.adapter),
                error: format!("it announced {count} bytes; 1 to {BLOCK_BYTES_MAX} are possible"),
            });
        }
        let data = &answer[1..=count];
        if pec == Pec::Checked {
            let mut covered = vec![address << 1, command, address << 1 | 1];
            covered.extend_from_slice(&answer[..=count]);
            if packet_error_code(&covered) != answer[count + 1] {
                return Err(self.pec_error(address, what));
            }
        }
        Ok(data.to_vec())
    }

    fn lock(&mut self) -> Result<(), BusError> {
        self.lock.lock()
    }

    fn unlock(&mut self) {
        self.lock.unlock();
    }
}

/// SMBus packet error code: CRC-8, polynomial 0x07, over every byte on the wire with addresses (SMBus 2.0, 5.4).
pub fn packet_error_code(bytes: &[u8]) -> u8 {
    const SMBUS: crc::Crc<u8> = crc::Crc::<u8>::new(&crc::CRC_8_SMBUS);
    SMBUS.checksum(bytes)
}

/// The count byte of a block write.
///
/// # Errors
/// [`BusError::Io`] for a block SMBus does not know: empty or longer than 32 bytes.
pub fn block_count(adapter: &str, data: &[u8]) -> Result<u8, BusError> {
    u8::try_from(data.len())
        .ok()
        .filter(|count| (1..=BLOCK_BYTES_MAX).contains(&usize::from(*count)))
        .ok_or_else(|| BusError::Io {
            what: format!("block write on {adapter}"),
            error: format!("{} bytes; 1 to {BLOCK_BYTES_MAX} are possible", data.len()),
        })
}

fn by_kind<E: embedded_hal::i2c::Error>(
    error: &E,
    adapter: &str,
    address: u8,
    transaction: &str,
) -> BusError {
    let adapter = adapter.to_owned();
    let transaction = transaction.to_owned();
    match error.kind() {
        ErrorKind::NoAcknowledge(_) => BusError::Nack {
            adapter,
            address,
            transaction,
        },
        // The one kind embedded_hal has for a bus that hung.
        ErrorKind::Bus => BusError::Timeout {
            adapter,
            address,
            transaction,
        },
        kind => BusError::Io {
            what: format!("{transaction} at 0x{address:02x} on {adapter}"),
            error: format!("{kind}: {error:?}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records one transaction and answers the read.
    #[derive(Debug, Default)]
    struct Recorder {
        writes: Vec<Vec<u8>>,
        answer: Vec<u8>,
        fails: Option<ErrorKind>,
    }

    impl embedded_hal::i2c::ErrorType for Recorder {
        type Error = ErrorKind;
    }

    impl I2c for Recorder {
        fn transaction(
            &mut self,
            _address: u8,
            operations: &mut [Operation<'_>],
        ) -> Result<(), ErrorKind> {
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => self.writes.push(bytes.to_vec()),
                    Operation::Read(bytes) => {
                        bytes.fill(0xff);
                        bytes[..self.answer.len()].copy_from_slice(&self.answer);
                    }
                }
            }
            self.fails.map_or(Ok(()), Err)
        }
    }

    fn bus(answer: &[u8]) -> PlainI2c<Recorder> {
        let recorder = Recorder {
            answer: answer.to_vec(),
            ..Recorder::default()
        };
        PlainI2c::new(recorder, Alone, "test bus")
    }

    #[test]
    fn packet_error_code_is_the_standards() {
        // The CRC catalogue's check value of this algorithm.
        assert_eq!(packet_error_code(b"123456789"), 0xf4);
    }

    #[test]
    fn a_block_write_is_one_message() {
        let mut bus = bus(&[]);
        bus.block_write(0x24, 0x55, &[1, 2, 3], Pec::None).unwrap();
        bus.block_write(0x24, 0x55, &[1, 2, 3], Pec::Checked)
            .unwrap();
        let code = packet_error_code(&[0x48, 0x55, 3, 1, 2, 3]);
        assert_eq!(
            bus.bus.writes,
            [vec![0x55, 3, 1, 2, 3], vec![0x55, 3, 1, 2, 3, code]]
        );
        assert!(bus.block_write(0x24, 0x55, &[], Pec::None).is_err());
        assert!(bus.block_write(0x24, 0x55, &[0; 33], Pec::None).is_err());
    }

    #[test]
    fn a_block_read_believes_count_and_code_only() {
        let code = packet_error_code(&[0x48, 0x10, 0x49, 2, 0xaa, 0xbb]);
        let read = |answer: &[u8]| bus(answer).block_read(0x24, 0x10, Pec::Checked);
        assert_eq!(read(&[2, 0xaa, 0xbb, code]), Ok(vec![0xaa, 0xbb]));
        assert!(matches!(
            read(&[2, 0xaa, 0xbb, code ^ 1]),
            Err(BusError::Pec { .. })
        ));
        assert!(matches!(
            read(&[2, 0xaa, 0xba, code]),
            Err(BusError::Pec { .. })
        ));
        assert!(matches!(read(&[33]), Err(BusError::Io { .. })));
        assert!(matches!(read(&[0]), Err(BusError::Io { .. })));
        let longest: Vec<u8> = [32].into_iter().chain(0..32).collect();
        let plain = bus(&longest).block_read(0x24, 0x10, Pec::None);
        assert_eq!(plain.map(|data| data.len()), Ok(32));
    }

    #[test]
    fn words_are_low_byte_first() {
        let mut bus = bus(&[0x92, 0x01]);
        assert_eq!(bus.read_word_data(0x37, 0x12), Ok(0x0192));
        assert_eq!(bus.bus.writes, [[0x12]]);
    }

    #[test]
    fn errors_name_adapter_address_and_transaction() {
        let mut bus = bus(&[]);
        bus.bus.fails = Some(ErrorKind::NoAcknowledge(
            embedded_hal::i2c::NoAcknowledgeSource::Unknown,
        ));
        let error = bus.write_byte_data(0x37, 0x24, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no acknowledge from 0x37 on test bus (write byte data)"
        );
        bus.bus.fails = Some(ErrorKind::Bus);
        assert!(matches!(
            bus.read_byte_data(0x37, 0x24),
            Err(BusError::Timeout { .. })
        ));
    }
}
