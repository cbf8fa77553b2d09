//! What commands want of the media of a call that is up: past the switch and back (`uuid_media`), other codecs
//! (`uuid_media_reneg`).
//!
//! Our far end is asked first, by a re-INVITE. What it refuses leaves everything as it is. When it takes a codec that the
//! other side of the bridge does not use, that side's far end is asked to take it too ([`News::Proposed`]); when it will not, ours
//! gets its codec back: nothing is translated.

use super::leg::Leg;
use super::letter::{Letter, News, Proposal};
use super::media::{View, Way};
use crate::sdp::{self, Kind};
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// An offer of our own, for a command.
#[derive(Debug)]
pub(super) struct Renewal {
    /// Who is told what came of it.
    reply: oneshot::Sender<Result<(), String>>,
    /// The codecs that were asked for.
    list: Option<String>,
    /// Our far end has agreed, and the other side's is asked.
    proposed: bool,
    /// It is offered what it had before, as it has agreed to nothing of what was asked for; why, for the one who asked.
    failed: Option<String>,
}

impl Leg {
    /// An offer may be made now; an error says why not.
    fn may_renew(&self) -> Result<(), &'static str> {
        match () {
            () if !self.is_answered() || self.is_over() => Err("the channel is not answered"),
            () if self.pending.is_busy() => Err("another offer is not answered yet"),
            () if self.held => Err("the channel is on hold"),
            () => Ok(()),
        }
    }

    /// Leads the media of both sides past the switch (`switch_ivr_nomedia`). What came of it is told by
    /// [`media_goes_past`](Self::media_goes_past).
    pub fn send_media_past(&mut self) -> Result<(), &'static str> {
        if self.media.way() == Way::Bypass {
            return Ok(());
        }
        self.may_renew()?;
        if self.partner.is_none() {
            return Err("the channel is not bridged");
        }
        if self.inside.is_some() {
            return Err("it is a call to the switch itself");
        }
        self.pending.due = Some(Way::Bypass);
        self.lead_if_due();
        Ok(())
    }

    /// Takes the media of both sides back (`switch_ivr_media`); `reply` is told what our far end says to that.
    pub fn take_media_back(
        &mut self,
        reply: oneshot::Sender<Result<(), String>>,
    ) -> Result<(), &'static str> {
        if self.media.way() == Way::Relay {
            let _ = reply.send(Ok(()));
            return Ok(());
        }
        self.may_renew()?;
        let mut prefs = self.prefs_of_its_kinds();
        if let Some(partner) = &self.partner {
            // Whatever ours settles on, the other side will be asked to take.
            let lines = || partner.view.remote.media.iter().filter(|line| line.port != 0);
            prefs.list.retain(|pref| lines().any(|line| line.codecs().iter().any(|codec| pref.names(codec))));
        }
        self.renew(sdp::Source::Prefs(&prefs), Renewal { reply, list: None, proposed: false, failed: None })
    }

    /// Whether the media go past the switch; `None` while that is being changed.
    pub fn media_goes_past(&self) -> Option<bool> {
        let settled = !self.pending.is_busy() && self.pending.due.is_none();
        settled.then(|| self.media.way() == Way::Bypass)
    }

    /// Offers the far end these codecs (`=PCMA,PCMU`), or all that the leg takes; `reply` is told what came of it.
    pub fn renew_codecs(
        &mut self,
        list: Option<&str>,
        reply: oneshot::Sender<Result<(), String>>,
    ) -> Result<(), &'static str> {
        if self.media.way() != Way::Relay {
            return Err("its media are not ours");
        }
        self.may_renew()?;
        let prefs = match list {
            Some(list) => sdp::Prefs::parse(list.trim_start_matches('=')),
            None => self.prefs_of_its_kinds(),
        };
        if prefs.is_empty() {
            return Err("these are no codecs");
        }
        let list = list.map(str::to_owned);
        self.renew(sdp::Source::Prefs(&prefs), Renewal { reply, list, proposed: false, failed: None })
    }

    /// From now on the leg takes these codecs alone when the list begins with `=`; any other counts for its one offer.
    pub fn restrict_codecs(&mut self, list: &str) {
        if list.starts_with('=') {
            self.variables.set("codec_string", list);
        }
    }

    fn renew(&mut self, source: sdp::Source<'_>, renewal: Renewal) -> Result<(), &'static str> {
        let rules = self.rules();
        let offer = self.media.offer(source, &rules);
        if !offer.is_ok_and(|offer| self.session.offer(Self::now(), Some(offer), &[]).is_ok()) {
            self.media.restore();
            return Err("no offer can be made");
        }
        self.pending.renewal = Some(renewal);
        Ok(())
    }

    /// Our far end has answered the offer, which has been taken; false when it was no such offer.
    pub(super) fn renewed(&mut self) -> bool {
        let Some(mut renewal) = self.pending.renewal.take() else { return false };
        let (Some(partner), Some(view)) = (&self.partner, self.media.view()) else {
            self.renewal_done(renewal);
            return true;
        };
        if !differ(&view, &partner.view) {
            self.renewal_done(renewal);
            return true;
        }
        let news = News::Proposed(Arc::new(Proposal { view, way: Way::Relay, offer: None }));
        match partner.mailbox().post(Letter::News { from: self.token(), news }) {
            true => {
                renewal.proposed = true;
                self.pending.renewal = Some(renewal);
            }
            false => self.renewal_done(renewal), // it is gone, and says so
        }
        true
    }

    fn renewal_done(&mut self, renewal: Renewal) {
        if let Some(list) = renewal.list {
            self.restrict_codecs(&list);
        }
        self.renegotiated();
        let _ = renewal.reply.send(renewal.failed.map_or(Ok(()), Err));
    }

    /// Our far end has said yes to an offer and can do nothing of it: it is offered what it had, for as it sees it that is
    /// given up (RFC 3264 §8). False when it was no such offer.
    pub(super) fn renewal_void(&mut self, why: &str) -> bool {
        let Some(renewal) = self.pending.renewal.take_if(|renewal| !renewal.proposed) else { return false };
        self.media.restore();
        let why = format!("the far end refused: {why}");
        let agreed = self.agreed().clone();
        if renewal.failed.is_some() || agreed.is_empty() {
            let _ = renewal.reply.send(Err(why));
            return true;
        }
        let again = Renewal { list: None, failed: Some(why), ..renewal };
        if let Err(error) = self.renew(sdp::Source::Agreed(&agreed), again) {
            warn!("{} {}: it is not offered again what it had: {error}", self.uuid, self.name());
        }
        true
    }

    /// Our far end will not; false when it was no such offer.
    pub(super) fn renewal_refused(&mut self, why: &str) -> bool {
        let Some(renewal) = self.pending.renewal.take_if(|renewal| !renewal.proposed) else { return false };
        self.media.restore();
        let _ = renewal.reply.send(Err(format!("the far end refused: {why}")));
        true
    }

    /// The other side has taken the codec that ours has, or has not; false when that was not asked.
    pub(super) fn renewal_settled(&mut self, view: &Result<Arc<View>, u16>) -> bool {
        let Some(renewal) = self.pending.renewal.take_if(|renewal| renewal.proposed) else { return false };
        match view {
            Ok(view) => {
                if let Some(partner) = &mut self.partner {
                    partner.view = view.clone();
                }
                if !self.media.view().is_some_and(|ours| differ(&ours, view)) {
                    self.renewal_done(renewal);
                    return true;
                }
                // Of all that ours has agreed to it has taken another one than ours uses: ours is offered that alone.
                let again = Renewal { proposed: false, ..renewal };
                if let Err(error) = self.renew(sdp::Source::Agreed(&view.agreed), again) {
                    warn!("{} {}: it is not offered the other side's codec: {error}", self.uuid, self.name());
                }
            }
            Err(status) => {
                info!("{} {}: the other side refused the codec with {status}", self.uuid, self.name());
                if self.partner.is_some() {
                    self.align();
                }
                let _ = renewal.reply.send(Err(format!("the other side refused: {status}")));
            }
        }
        true
    }
}

/// Whether two sides use different codecs for their sound.
fn differ(ours: &View, theirs: &View) -> bool {
    let audio = |view: &View| view.agreed.iter().find(|m| m.kind == Kind::Audio).map(|m| m.codec.clone());
    match (audio(ours), audio(theirs)) {
        (Some(ours), Some(theirs)) => !ours.same_format(&theirs),
        _ => false,
    }
}
