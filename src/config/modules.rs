//! `modules.conf`: which of FreeSWITCH's modules a tree asks for.

use super::element::{Element, configuration};
use super::position::Position;
use super::problem::Problem;
use super::suggest::nearest;

/// Modules whose job is done here.
pub const PROVIDED: &[&str] = &[
    "mod_cdr_csv",
    "mod_commands",
    "mod_console",
    #[cfg(feature = "curl")]
    "mod_curl",
    "mod_db",
    "mod_dialplan_xml",
    "mod_dptools",
    "mod_event_socket",
    "mod_expr",
    "mod_fifo",
    "mod_hash",
    "mod_json_cdr",
    "mod_logfile",
    "mod_loopback",
    "mod_sofia",
    "mod_valet_parking",
];

/// FreeSWITCH's other modules, those of former years included.
const OTHERS: &str = "alsa amqp amr amrwb av avmd b64 basic bert blacklist bv callcenter cdr_pg_csv cdr_sqlite \
    celt cepstral cidlookup cluechoo codec2 com_g729 conference curl cv dahdi_codec dialplan_asterisk \
    dialplan_directory dingaling directory distributor easyroute enum erlang_event esf esl event_multicast \
    event_socket event_test event_zmq fail2ban fax file_string flite format_cdr freetdm fsk fsv g723_1 g729 \
    gertc graylog2 gsmopen h26x h323 hiredis html5 httapi http_cache iax ilbc imagick isac java khomp \
    ladspa lcr ldap limit local_stream lua managed mariadb memcache mongo mp4 mp4v msrp native_file \
    nibblebill odbc_cdr opal openh264 openmrcp opus opusfile oreka osp perl pgsql png pocketsphinx portaudio \
    portaudio_stream posix_timer posix_timers prefix python python3 rad_auth radius_cdr random raven rayo redis \
    reference rss rtc rtmp rtp say_de say_en say_es say_es_ar say_fa say_fr say_he say_hr say_hu say_it say_ja say_nl \
    say_pl say_pt say_ru say_sv say_th say_zh sangoma_codec shell_stream shout signalwire silk siren skel skel_codec \
    skinny skypopen smpp sms sms_flowroute snapshot sndfile snmp sonar soundtouch spandsp speex spidermonkey spy ssml \
    stress syslog test theora timerfd tone_stream translate tts_commandline unicall unimrcp v8 verto \
    video_filter vlc vmd voicemail voicemail_ivr voipcodecs vp8 vpx webm woomera xml_cdr xml_curl xml_ldap \
    xml_radius xml_rpc xml_scgi yaml yuv zeroconf";

/// The typed view of `modules.conf`.
#[derive(Clone, Debug, Default)]
pub struct ModulesConf {
    /// `<load module="…"/>` in order.
    pub load: Vec<(String, Position)>,
}

impl ModulesConf {
    /// Reads `modules.conf` out of the tree.
    pub fn read(root: &Element, problems: &mut Vec<Problem>) -> ModulesConf {
        let mut conf = ModulesConf::default();
        let Some(list) = configuration(root, "modules.conf").and_then(|c| c.child("modules")) else {
            return conf;
        };
        for element in list.children_named("load") {
            let Some(module) = element.attr("module").map(str::trim).filter(|m| !m.is_empty()) else {
                problems.push(
                    Problem::warning(&element.at, "<load> names no module")
                        .hint("write <load module=\"mod_sofia\"/>"),
                );
                continue;
            };
            let module = module.rsplit('/').next().unwrap_or(module);
            let module = module.strip_suffix(".so").unwrap_or(module);
            if !is_known(module) {
                let known =
                    PROVIDED.iter().copied().map(str::to_owned).chain(others().map(|o| format!("mod_{o}")));
                let known: Vec<String> = known.collect();
                let problem =
                    Problem::warning(element.attr_at("module"), format!("there is no module {module}"));
                problems.push(match nearest(module, known.iter().map(String::as_str)) {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem.hint("it is passed over"),
                });
            }
            conf.load.push((module.to_owned(), element.at.clone()));
        }
        let missing: Vec<&str> =
            conf.load.iter().map(|(m, _)| m.as_str()).filter(|m| is_known(m) && !is_provided(m)).collect();
        if !missing.is_empty() {
            problems.push(Problem::note(
                &list.at,
                format!("modules known but not provided yet: {}", missing.join(", ")),
            ));
        }
        conf
    }
}

impl ModulesConf {
    /// Whether the tree asks for `module`.
    pub fn loads(&self, module: &str) -> bool {
        self.loaded_at(module).is_some()
    }

    /// Where it asks for it first.
    pub fn loaded_at(&self, module: &str) -> Option<&Position> {
        self.load.iter().find(|(name, _)| name == module).map(|(_, at)| at)
    }
}

/// The modules whose job is done here.
pub fn provided() -> impl Iterator<Item = &'static str> {
    PROVIDED.iter().copied()
}

/// Whether the job of `module` is done here.
pub fn is_provided(module: &str) -> bool {
    PROVIDED.contains(&module)
}

/// Whether FreeSWITCH has or had a module of that name.
pub fn is_known(module: &str) -> bool {
    is_provided(module) || module.strip_prefix("mod_").is_some_and(|short| others().any(|o| o == short))
}

fn others() -> impl Iterator<Item = &'static str> {
    OTHERS.split_ascii_whitespace()
}
