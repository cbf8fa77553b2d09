//! Writing messages into a fixed piece of memory.

/// A cursor over the bytes of one datagram to be; what does not fit is noticed at the end.
pub struct Text<'a> {
    room: &'a mut [u8],
    used: usize,
    overflow: bool,
}

impl<'a> Text<'a> {
    /// Starts at the beginning of `room`.
    pub fn new(room: &'a mut [u8]) -> Self {
        Self { room, used: 0, overflow: false }
    }

    /// How long the text is; none when it did not fit.
    pub fn finish(self) -> Option<usize> {
        (!self.overflow).then_some(self.used)
    }

    /// Appends text.
    pub fn s(&mut self, text: &str) -> &mut Self {
        self.b(text.as_bytes())
    }

    /// Appends bytes.
    pub fn b(&mut self, bytes: &[u8]) -> &mut Self {
        match self.room.get_mut(self.used..self.used + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.overflow = true,
        }
        self
    }

    /// Appends a number in decimal.
    pub fn n(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.b(&digits[at..])
    }

    /// Appends a number as eight hexadecimal digits.
    pub fn hex8(&mut self, number: u32) -> &mut Self {
        let mut digits = [0u8; 8];
        for (i, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[((number >> (28 - 4 * i)) & 15) as usize];
        }
        self.b(&digits)
    }
}
