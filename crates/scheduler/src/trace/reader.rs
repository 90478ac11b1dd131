//! Values out of bytes that anybody may have written.

use std::str::FromStr;

/// Takes values from the front of bytes. Nothing is allocated before as many bytes were seen.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Why a value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The bytes end before it does.
    Cut,
    /// No value looks like that.
    Wrong,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were taken.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn raw(&mut self, size: usize) -> Result<&'a [u8], Broken> {
        let end = self.at.checked_add(size).ok_or(Broken::Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(Broken::Cut)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn four(&mut self) -> Result<[u8; 4], Broken> {
        let mut four = [0; 4];
        four.copy_from_slice(self.raw(4)?);
        Ok(four)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Broken> {
        Ok(self.raw(1)?[0])
    }

    pub(super) fn number(&mut self) -> Result<u64, Broken> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(Broken::Wrong);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Broken::Wrong)
    }

    /// A number of another type.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Broken> {
        T::try_from(self.number()?).map_err(|_| Broken::Wrong)
    }

    pub(super) fn signed(&mut self) -> Result<i64, Broken> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A signed number of another type.
    pub(super) fn small_signed<T: TryFrom<i64>>(&mut self) -> Result<T, Broken> {
        T::try_from(self.signed()?).map_err(|_| Broken::Wrong)
    }

    /// What [`Writer::step`](super::writer::Writer::step) wrote.
    pub(super) fn step(&mut self, from: u64) -> Result<u64, Broken> {
        Ok(from.wrapping_add(self.signed()?.cast_unsigned()))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Broken> {
        let size = self.small()?;
        std::str::from_utf8(self.raw(size)?).map_err(|_| Broken::Wrong)
    }

    /// What [`Writer::id`](super::writer::Writer::id) wrote.
    pub(super) fn id(&mut self, last: u128) -> Result<u128, Broken> {
        let size = usize::from(self.byte()?);
        let mut differs = [0; 16];
        let low = differs.get_mut(..size).ok_or(Broken::Wrong)?;
        low.copy_from_slice(self.raw(size)?);
        Ok(last ^ u128::from_le_bytes(differs))
    }
}

/// The id with these bits. Ids are made from texts here, so that this crate needs nothing else to name their type.
pub(super) fn id_of<T: FromStr>(bits: u128) -> Result<T, Broken> {
    format!("{bits:032x}").parse().map_err(|_| Broken::Wrong)
}

#[cfg(test)]
mod tests {
    use super::super::writer::Writer;
    use super::*;
    use jobyard_core::JobId;

    #[test]
    fn what_was_written_is_read() {
        let mut writer = Writer::default();
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let signed = [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN];
        let ids = [0, 1, 1 << 127, u128::MAX, 0x0190_a0b0 << 96];
        for number in numbers {
            writer.number(number);
        }
        for number in signed {
            writer.signed(number);
        }
        for number in numbers {
            writer.step(77, number);
        }
        for id in ids {
            writer.id(5, id);
        }
        writer.text("größer");
        let mut reader = Reader::new(writer.as_bytes());
        for number in numbers {
            assert_eq!(reader.number(), Ok(number));
        }
        for number in signed {
            assert_eq!(reader.signed(), Ok(number));
        }
        for number in numbers {
            assert_eq!(reader.step(77), Ok(number));
        }
        for id in ids {
            assert_eq!(reader.id(5), Ok(id));
        }
        assert_eq!(reader.text(), Ok("größer"));
        assert!(reader.is_empty());
        assert_eq!(reader.byte(), Err(Broken::Cut));
    }

    #[test]
    fn refuse_what_nobody_writes() {
        let read = |bytes: &[u8]| Reader::new(bytes).number();
        assert_eq!(read(&[0x80; 9]), Err(Broken::Cut));
        assert_eq!(read(&[0x80; 10]), Err(Broken::Wrong));
        let mut too_large = [0xff; 10];
        too_large[9] = 0x02;
        assert_eq!(read(&too_large), Err(Broken::Wrong));
        assert_eq!(Reader::new(&[2, 0xff, 0xff]).text(), Err(Broken::Wrong));
        assert_eq!(Reader::new(&[0xff, 0x7f, 1]).text(), Err(Broken::Cut));
        assert_eq!(Reader::new(&[17; 20]).id(0), Err(Broken::Wrong));
    }

    #[test]
    fn ids_are_made_from_their_bits() {
        let id: JobId = id_of(0x0190_a0b0_0000_7000_8000_0000_0000_0001).expect("an id");
        assert_eq!(id.to_string(), "0190a0b0-0000-7000-8000-000000000001");
    }
}
