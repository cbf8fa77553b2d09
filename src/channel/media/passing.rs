//! A leg whose description is that of the leg it is bridged with: word for word, so that the media never come here
//! (`bypass_media`), or with our address and ports put in, so that they come and go unread (`proxy_media`).

use super::{LegMedia, Line, MediaError};
use crate::media::{Format, Remote, Timeouts};
use crate::sdp::{self, AgreedMedia, Direction, Kind};
use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;

/// Which way the media of a bridged pair go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Way {
    /// Through us, by codec: each leg has a description of our own.
    #[default]
    Relay,
    /// Through us, unread: each far end has the other's description with our address and ports (`proxy_media`).
    Proxy,
    /// Past us: each far end has the other's description (`bypass_media`).
    Bypass,
}

/// The far end's description as it came, to be passed on.
#[derive(Clone, Debug)]
pub struct Passed {
    /// How.
    pub way: Way,
    /// Its text.
    pub text: Bytes,
}

/// A description, taken apart and as it came.
pub type Said = (Arc<sdp::Session>, Bytes);

impl LegMedia {
    /// Which way the media go by our last description.
    pub fn way(&self) -> Way {
        self.way
    }

    /// True when the media go from far end to far end, past us.
    pub fn goes_past(&self) -> bool {
        self.way == Way::Bypass && self.passed.is_some()
    }

    /// Our offer: what the other leg's far end has said.
    pub fn pass_offer(&mut self, way: Way, text: &Bytes) -> Result<Bytes, MediaError> {
        let (local, body) = self.copy(way, text)?;
        self.offered = Some(Box::new(local));
        Ok(body)
    }

    /// Our answer to our far end's offer (`None`: the one that waits since it came): what the other leg's far end has said.
    /// When that is not possible, everything stays as it was.
    pub fn pass_answer(&mut self, offer: Option<Said>, way: Way, text: &Bytes) -> Result<Bytes, MediaError> {
        let remote = offer.as_ref().map(|(remote, _)| remote).or(self.remote.as_ref());
        let remote = remote.cloned().ok_or(MediaError::NothingOffered)?;
        let (local, body) = self.copy(way, text)?;
        if let Some((_, text)) = offer {
            self.heard(&text);
        }
        self.remote = Some(remote);
        self.settle_passed(&local);
        Ok(body)
    }

    /// The far end is asked to offer, and the answer will be another's.
    pub fn expect(&mut self, way: Way) {
        self.way = way;
    }

    /// Our far end has offered because it was asked to; the answer comes from the other leg.
    pub fn take_late_offer(&mut self, way: Way, text: &Bytes) -> Result<(), MediaError> {
        self.remote = Some(Arc::new(sdp::Session::parse_bytes(text)?));
        self.way = way;
        self.heard(text);
        Ok(())
    }

    /// Our far end has said this, which the other leg passes on.
    pub fn heard(&mut self, text: &Bytes) {
        // Not a part of the message it came in: that would be kept with it.
        let text = Bytes::copy_from_slice(text);
        self.passed = Some(Arc::new(Passed { way: self.way, text }));
    }

    /// What was said is forgotten: the next description is one of our own.
    pub fn forget(&mut self) {
        self.lines = SmallVec::new();
        self.agreed = Arc::default();
        (self.local, self.offered, self.before, self.passed) = (None, None, None, None);
        self.way = Way::Relay;
    }

    /// True when the far end has been told the RTP addresses of `said`, or its own media do not go past us.
    pub fn knows(&self, said: &sdp::Session) -> bool {
        let addresses = |session: &sdp::Session| -> SmallVec<[_; 4]> {
            session.media.iter().map(|media| session.rtp_address(media)).collect()
        };
        let told = self.described();
        self.way != Way::Bypass || told.is_none_or(|told| addresses(&told) == addresses(said))
    }

    /// Makes `text` our description.
    fn copy(&mut self, way: Way, text: &Bytes) -> Result<(sdp::Session, Bytes), MediaError> {
        let before = self.described();
        let body = match way {
            Way::Proxy => {
                let theirs = sdp::Session::parse_bytes(text)?;
                let wanted = sdp::proxied_lines(&theirs);
                for &index in &wanted {
                    if !self.lines.iter().any(|l| l.index == index) {
                        let stream = self.engine.open(self.address.bind, (self.sink)(index))?;
                        self.lines.push(Line { index, stream });
                    }
                }
                self.lines.retain(|l| wanted.contains(&l.index));
                let ports: SmallVec<[u16; 4]> = (0..theirs.media.len()).map(|line| self.port(line)).collect();
                sdp::patched(text, self.address.advertised, &ports)
            }
            Way::Relay | Way::Bypass => text.clone(),
        };
        let body = match &before {
            Some(before) => sdp::following(body, before),
            None => body,
        };
        let local = sdp::Session::parse_bytes(&body)?;
        self.before = self.local.replace(body.clone()).map(|text| (text, self.way));
        self.way = way;
        self.offered = None;
        Ok((local, body))
    }

    /// Both descriptions are known.
    pub(super) fn settle_passed(&mut self, local: &sdp::Session) {
        let agreed = match (&self.remote, self.way) {
            (Some(remote), Way::Proxy) => sdp::proxied(local, remote),
            _ => {
                self.lines = SmallVec::new();
                Vec::new()
            }
        };
        for line in &self.lines {
            let Some(media) = agreed.iter().find(|m| m.line == line.index) else { continue };
            self.settle_line(line, media);
        }
        self.agreed = agreed.into();
    }

    fn settle_line(&self, line: &Line, media: &AgreedMedia) {
        line.stream.format(Format::any());
        // Fax and pictures may be silent as long as they like.
        let timeouts = if media.kind == Kind::Audio { self.policy.timeouts } else { Timeouts::default() };
        line.stream.timeouts(timeouts);
        line.stream.hold(media.direction != Direction::SendRecv);
        let Some(rtp) = media.remote_rtp else { return };
        line.stream.remote(Remote {
            rtp,
            rtcp: media.remote_rtcp,
            rtcp_mux: media.mux,
            signalling: self.policy.signalling,
            learn: super::super::inbound::learn_for(self.policy, rtp.ip()),
            // Who may send is between the two far ends.
            receive: true,
            send: true,
        });
    }
}
