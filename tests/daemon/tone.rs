//! Is a tone in a recording, and where is it missing? Goertzel's filter over short frames.

use crate::wav::Wav;

/// Frame of the analysis in ms.
const FRAME: usize = 20;

/// What a recording holds of one tone.
#[derive(Debug)]
pub struct Heard {
    /// Seconds from the first to the last frame with the tone.
    pub span: f64,
    /// Of that, the part in which the tone is there, 0 to 1.
    pub share: f64,
    /// The longest time without it within the span, in ms.
    pub longest_gap: usize,
    /// Frames that have sound but not this tone, anywhere in the recording.
    pub foreign: usize,
}

/// Power of one frequency in a frame relative to all power in it, 0 to 1.
fn purity(frame: &[i16], hertz: f64, rate: u32) -> f64 {
    let w = std::f64::consts::TAU * hertz / f64::from(rate);
    let (mut s1, mut s2, mut power) = (0.0, 0.0, 0.0);
    for &sample in frame {
        let x = f64::from(sample);
        let s = x + 2.0 * w.cos() * s1 - s2;
        (s2, s1) = (s1, s);
        power += x * x;
    }
    if power == 0.0 {
        return 0.0;
    }
    let at = s1 * s1 + s2 * s2 - 2.0 * w.cos() * s1 * s2;
    2.0 * at / (power * frame.len() as f64)
}

fn loudness(frame: &[i16]) -> f64 {
    (frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / frame.len().max(1) as f64).sqrt()
}

/// Looks for a tone. None when it is not there for at least a tenth of a second.
pub fn listen(wav: &Wav, hertz: f64) -> Option<Heard> {
    let size = wav.rate as usize * FRAME / 1000;
    let frames: Vec<&[i16]> = wav.samples.chunks_exact(size).collect();
    let loud = |f: &[i16]| loudness(f) > 300.0;
    let has: Vec<bool> = frames.iter().map(|f| loud(f) && purity(f, hertz, wav.rate) > 0.7).collect();
    let foreign = frames.iter().zip(&has).filter(|(f, has)| loud(f) && !**has).count();
    let first = has.iter().position(|h| *h)?;
    let last = has.iter().rposition(|h| *h)?;
    let span = has.get(first..=last)?;
    let count = span.iter().filter(|h| **h).count();
    let longest = span.split(|h| *h).map(<[bool]>::len).max().unwrap_or(0);
    (count * FRAME >= 100).then(|| Heard {
        span: (span.len() * FRAME) as f64 / 1000.0,
        share: count as f64 / span.len() as f64,
        longest_gap: longest * FRAME,
        foreign,
    })
}

/// The tone is there for at least so many seconds, nearly without a gap.
#[track_caller]
pub fn assert_heard(who: &str, wav: &Wav, hertz: f64, seconds: f64) {
    assert_within(who, wav, hertz, seconds, 0.97, 100);
}

/// The same of a recording that runs by the clock, as linphonec's does (baresip's has just what arrived): on
/// a machine with more to do than it can, such a phone stutters by itself, so there more is forgiven.
#[track_caller]
pub fn assert_heard_live(who: &str, wav: &Wav, hertz: f64, seconds: f64) {
    if overloaded() {
        eprintln!("{who}: the machine is overloaded, gaps of up to a second are forgiven");
        assert_within(who, wav, hertz, seconds, 0.6, 1000);
    } else {
        assert_heard(who, wav, hertz, seconds);
    }
}

#[track_caller]
fn assert_within(who: &str, wav: &Wav, hertz: f64, seconds: f64, share: f64, gap: usize) {
    let Some(heard) = listen(wav, hertz) else {
        panic!("{who} hears no {hertz} Hz in {:.1} s of recording", wav.seconds());
    };
    assert!(heard.span >= seconds, "{who} hears {hertz} Hz for {:.1} s only: {heard:?}", heard.span);
    assert!(heard.share > share && heard.longest_gap <= gap, "{who} hears {hertz} Hz with gaps: {heard:?}");
}

/// More than one task per processor waited to run during the last minute.
fn overloaded() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|l| l.parse().ok()).unwrap_or(0.0);
    load > std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64)
}

mod tests {
    use super::*;

    fn heard(wav: &Wav, hertz: f64) -> Heard {
        listen(wav, hertz).expect("the tone")
    }

    #[test]
    fn a_pure_tone_is_heard_whole_and_another_not_at_all() {
        let wav = Wav::sine(440.0, 2.0);
        let h = heard(&wav, 440.0);
        assert!(h.span > 1.95 && h.share > 0.99 && h.longest_gap == 0 && h.foreign == 0, "{h:?}");
        assert!(listen(&wav, 660.0).is_none());
        assert!(listen(&Wav::sine(660.0, 2.0), 440.0).is_none());
    }

    #[test]
    fn gaps_are_measured() {
        let mut wav = Wav::sine(440.0, 2.0);
        wav.samples.iter_mut().skip(8000).take(8 * 300).for_each(|s| *s = 0);
        let h = heard(&wav, 440.0);
        assert!((280..=320).contains(&h.longest_gap) && h.share < 0.9, "{h:?}");
    }

    #[test]
    fn what_is_before_and_after_the_tone_is_no_gap() {
        let mut wav = Wav::sine(440.0, 3.0);
        wav.samples.iter_mut().take(8000).for_each(|s| *s = 0);
        wav.samples.iter_mut().skip(20000).for_each(|s| *s = 0);
        let h = heard(&wav, 440.0);
        assert!((1.4..1.6).contains(&h.span) && h.longest_gap == 0, "{h:?}");
    }

    #[test]
    fn silence_noise_and_nothing_are_no_tone() {
        let silence = Wav { rate: 8000, samples: vec![0; 16000] };
        assert!(listen(&silence, 440.0).is_none());
        let mut x = 1u32;
        let noise = Wav {
            rate: 8000,
            samples: (0..16000)
                .map(|_| {
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (x >> 18) as i16
                })
                .collect(),
        };
        assert!(listen(&noise, 440.0).is_none());
        assert!(listen(&Wav { rate: 8000, samples: vec![] }, 440.0).is_none());
    }

    #[test]
    fn files_are_written_and_read_back() {
        let dir = crate::place::Dir::new("wav");
        let path = dir.path().join("tone.wav");
        let wav = Wav::sine(440.0, 0.5);
        wav.write(&path);
        let back = Wav::read(&path);
        assert_eq!((back.rate, back.samples == wav.samples), (8000, true));
        assert!((back.seconds() - 0.5).abs() < 0.001);
    }
}
