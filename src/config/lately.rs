//! Texts shared: a tree of 100,000 users says the same few names and values a million times.

use std::sync::Arc;

/// The texts met lately, one for each of so many places: a text that comes again while it is in its place is the same one in
/// memory. Costs the same however many there are, and forgets instead of growing.
#[derive(Debug)]
pub struct Lately {
    places: Box<[Option<Arc<str>>]>,
}

/// Longer texts are seldom met twice.
const LONGEST: usize = 128;

impl Lately {
    /// So many places; a power of two.
    pub fn new(places: usize) -> Self {
        Lately { places: vec![None; places.next_power_of_two()].into() }
    }

    /// The text, if it was met lately.
    pub fn find(&self, text: &str) -> Option<Arc<str>> {
        self.places.get(self.place(text)).and_then(Option::as_ref).filter(|known| ***known == *text).cloned()
    }

    /// The text, the same one as lately if it was met.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        let at = self.place(text);
        match self.places.get_mut(at) {
            Some(Some(known)) if **known == *text => Arc::clone(known),
            Some(place) => Arc::clone(place.insert(text.into())),
            None => text.into(),
        }
    }

    /// Spreads texts well enough. Phones choose some of them (User-Agents): who makes two meet only undoes their sharing.
    fn place(&self, text: &str) -> usize {
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut hash = text.len() as u64;
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            hash = (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
        }
        (hash >> 32) as usize & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_one_and_the_table_does_not_grow() {
        let mut lately = Lately::new(4);
        assert_eq!(lately.find("password"), None);
        let first = lately.share("password");
        assert!(Arc::ptr_eq(&first, &lately.share("password")));
        assert!(lately.find("password").is_some_and(|found| Arc::ptr_eq(&found, &first)));
        for n in 0..100 {
            assert_eq!(&*lately.share(&n.to_string()), n.to_string());
        }
        assert_eq!(lately.places.len(), 4);
        assert_eq!(&*lately.share(&"x".repeat(1000)), "x".repeat(1000));
        assert_eq!(&*lately.share(""), "");
    }
}
