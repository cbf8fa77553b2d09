//! 16-bit mono WAV files, as the phones play and record them.

use std::path::Path;

/// Samples and their rate in Hz.
pub struct Wav {
    pub rate: u32,
    pub samples: Vec<i16>,
}

impl Wav {
    /// A sine of a quarter of full scale.
    pub fn sine(hertz: f64, seconds: f64) -> Wav {
        let rate = 8000;
        let n = (f64::from(rate) * seconds) as usize;
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        Wav { rate, samples: (0..n).map(|i| (8000.0 * (step * i as f64).sin()) as i16).collect() }
    }

    pub fn write(&self, path: impl AsRef<Path>) {
        let size = self.samples.len() as u32 * 2;
        let mut out = Vec::with_capacity(44 + self.samples.len() * 2);
        out.extend_from_slice(b"RIFF");
        out.extend_from_slice(&(36 + size).to_le_bytes());
        out.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        out.extend_from_slice(&self.rate.to_le_bytes());
        out.extend_from_slice(&(self.rate * 2).to_le_bytes());
        out.extend_from_slice(b"\x02\0\x10\0data");
        out.extend_from_slice(&size.to_le_bytes());
        self.samples.iter().for_each(|s| out.extend_from_slice(&s.to_le_bytes()));
        std::fs::write(path, out).expect("to write the tone");
    }

    /// Reads PCM of 16 bit. A recording whose writer was killed has no sizes in its head; then all that
    /// follows is sound.
    pub fn read(path: impl AsRef<Path>) -> Wav {
        let path = path.as_ref();
        let file = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Wav::parse(&file).unwrap_or_else(|| panic!("{}: not 16-bit mono PCM", path.display()))
    }

    fn parse(file: &[u8]) -> Option<Wav> {
        let mut at = 12;
        let mut rate = None;
        loop {
            let id = file.get(at..at + 4)?;
            let size = u32::from_le_bytes(file.get(at + 4..at + 8)?.try_into().ok()?) as usize;
            let body = file.get(at + 8..)?;
            if id == b"fmt " {
                let mono = body.get(2..4)? == [1, 0] && body.get(14..16)? == [16, 0];
                rate = mono.then(|| body.get(4..8)).flatten().and_then(|r| r.try_into().ok());
            } else if id == b"data" {
                let body = body.get(..size).filter(|_| size != 0).unwrap_or(body);
                let samples = body.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]])).collect();
                return Some(Wav { rate: u32::from_le_bytes(rate?), samples });
            }
            at += 8 + size + size % 2;
        }
    }

    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    /// Only the first seconds.
    pub fn first(mut self, seconds: f64) -> Wav {
        self.samples.truncate((f64::from(self.rate) * seconds) as usize);
        self
    }

    /// Only the last seconds.
    pub fn last(mut self, seconds: f64) -> Wav {
        let keep = (f64::from(self.rate) * seconds) as usize;
        let from = self.samples.len().saturating_sub(keep);
        self.samples.drain(..from);
        self
    }
}
