//! URL encoding undone, as FreeSWITCH's `switch_url_decode` does it.

/// The text without its `%XX`. What is not `%` and two hexadecimal digits stays; bytes that are no UTF-8 become U+FFFD.
pub fn url_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let decoded = match behind {
            [high, low, ..] if byte == b'%' => {
                let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
                digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low)
            }
            _ => None,
        };
        match decoded {
            Some(decoded) => {
                if decoded != 0 {
                    out.push(decoded);
                }
                rest = behind.get(2..).unwrap_or(&[]);
            }
            None => {
                out.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
