//! The fields of a serialized object, as DuckDB's `BinarySerializer` writes them: a number of two bytes, then the value;
//! integers and lengths in LEB128, 0xFFFF after the last field.

/// Number in place of a field's, after an object's last one.
const END: u16 = 0xFFFF;

/// Why an object could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// The bytes end within it.
    Short,
    /// It is not what this version of DuckDB writes.
    Strange,
}

/// Reads one field after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn read(&self) -> usize {
        self.at
    }

    fn peek_number(&self) -> Result<u16, Unread> {
        match self.bytes.get(self.at..self.at + 2) {
            Some(&[low, high]) => Ok(u16::from_le_bytes([low, high])),
            _ => Err(Unread::Short),
        }
    }

    /// Goes into the field with this number, if it is the next one.
    pub fn enter_if(&mut self, number: u16) -> Result<bool, Unread> {
        let is_next = self.peek_number()? == number;
        self.at += if is_next { 2 } else { 0 };
        Ok(is_next)
    }

    /// Goes into the field with this number, which must be the next one.
    pub fn enter(&mut self, number: u16) -> Result<(), Unread> {
        if self.enter_if(number)? { Ok(()) } else { Err(Unread::Strange) }
    }

    /// The object ends here.
    pub fn end(&mut self) -> Result<(), Unread> {
        self.enter(END)
    }

    /// An unsigned integer.
    pub fn integer(&mut self) -> Result<u64, Unread> {
        let mut value: u64 = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Unread::Short)?;
            self.at += 1;
            let part = u64::from(byte & 0x7F);
            if part << shift >> shift != part {
                return Err(Unread::Strange);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unread::Strange)
    }

    /// Passes over a text.
    pub fn skip_text(&mut self) -> Result<(), Unread> {
        let length = usize::try_from(self.integer()?).map_err(|_| Unread::Strange)?;
        let end = self.at.checked_add(length).ok_or(Unread::Strange)?;
        if end > self.bytes.len() {
            return Err(Unread::Short);
        }
        self.at = end;
        Ok(())
    }
}
