//! Broken configurations, each with the exact place of each problem (the mark) and what is said of it.

use tandem::config::{Options, parse};

use crate::{check, marks};

/// What stands around a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Around {
    /// Nothing: the text is the file. Only its syntax is looked at.
    File,
    /// `<document>…</document>`. Only its syntax is looked at.
    Document,
    /// Nothing: the text is a whole tree.
    Tree,
    /// A whole tree; the text stands beside the sections.
    Root,
    /// The same; in the section `configuration`.
    Configuration,
    /// The same; in `<settings>` of switch.conf.
    Switch,
    /// The same; in the only profile, beside its settings.
    InProfile,
    /// The same; in the `<settings>` of the only profile.
    Profile,
    /// The same; beside the only profile.
    Profiles,
    /// The same; in the section `dialplan`.
    Dialplan,
}
use Around::{Configuration, Dialplan, Document, File, InProfile, Profile, Profiles, Root, Switch, Tree};

fn whole(around: Around, text: &str) -> String {
    let put = |here: Around| if here == around { text } else { "" };
    match around {
        File | Tree => return text.to_owned(),
        Document => return format!("<document>\n{text}\n</document>\n"),
        _ => {}
    }
    format!(
        "<document type=\"freeswitch/xml\">\n{}\n<section name=\"configuration\">\n{}\n\
         <configuration name=\"switch.conf\"><settings>\n{}\n</settings></configuration>\n\
         <configuration name=\"sofia.conf\"><profiles>\n<profile name=\"internal\">\n{}\n<settings>\n{}\n\
         </settings></profile>\n{}\n</profiles></configuration>\n</section>\n\
         <section name=\"dialplan\"><context name=\"default\"/><context name=\"public\"/>\n{}\n</section>\n</document>\n",
        put(Root),
        put(Configuration),
        put(Switch),
        put(InProfile),
        put(Profile),
        put(Profiles),
        put(Dialplan),
    )
}

/// What stands around, the text with a mark at each problem, and what each problem says.
type Row = (Around, &'static str, &'static [&'static str]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (File, "‸", &["there is no element here"]),
    (File, "‸just words\n", &["there is no element here"]),
    (File, "‸<!-- only a comment -->\n", &["there is no element here"]),
    (File, "<document>\n  <section name=\"x\">\n‸</document>\n", &["</document> stands where <section> of conf/t.xml:2:3 must be closed; write </section> before it"]),
    (File, "<document>\n  <section name=\"x\">\n  ‸</sektion>\n  </section>\n</document>\n", &["</sektion> stands where <section> of conf/t.xml:2:3 must be closed; write </section>, or remove it"]),
    (File, "‸<document>\n<a/>\n", &["<document> is never closed; write </document> where it ends"]),
    (File, "<document>\n‸<section>\n", &["<section> is never closed"]),
    (File, "<document/>\n‸</document>\n", &["</document> closes nothing"]),
    (File, "‸</document>\n", &["</document> closes nothing"]),
    (File, "<document>\n<a b=\"1\"‸c=\"2\"/>\n</document>\n", &["in <a> something follows the closing quote directly"]),
    (File, "<document>\n<param name=\"sip-ip value=\"‸1.2.3.4\"/>\n<param name=\"x\" value=\"y\"/>\n</document>\n", &["something follows the closing quote directly; put a blank between attributes; if a quote is missing, it is before this place"]),
    (File, "<document>\n<param name=‸\"sip-ip/>\n<param name=\"x\" value=\"y\"/>\n</document>\n", &["the value of attribute name of <param> runs into the next tag; a closing \" is missing on this line"]),
    (File, "<document>\n<param name=‸\"sip-ip/>\n</document>\n", &["the value of attribute name of <param> is never closed; a closing \" is missing"]),
    (File, "<document>\n<param name=‸'sip-ip/>\n</document>\n", &["the value of attribute name of <param> is never closed; a closing ' is missing"]),
    (File, "<document>\n<param name=‸sip-ip value=\"1\"/>\n</document>\n", &["the value of attribute name of <param> has no quotes; write name=\"…\""]),
    (File, "<document>\n<param ‸name/>\n</document>\n", &["attribute name of <param> has no value; write name=\"…\""]),
    (File, "<document>\n<param ‸name value=\"1\"/>\n</document>\n", &["attribute name of <param> has no value"]),
    (File, "<document>\n<param ‸\"sip-ip\"/>\n</document>\n", &["in <param> a value has no name"]),
    (File, "<document>\n<param ‸1a=\"x\"/>\n</document>\n", &["in <param> `1a` is no attribute name"]),
    (File, "<document>\n<param ‸na name=\"x\"/>\n</document>\n", &["attribute na of <param> has no value"]),
    (File, "<document>\n<param name=\"a\" ‸name=\"b\"/>\n</document>\n", &["attribute name is given twice; the first, at 2:8, counts; remove one of them"]),
    (File, "<document>\n<param name=\"a\"\n  ‸name=\"b\"/>\n</document>\n", &["attribute name is given twice"]),
    (File, "<document>\n‸< a/>\n</document>\n", &["stray <; write &lt;"]),
    (File, "<document>\n<a>1 ‸< 2</a>\n</document>\n", &["stray <"]),
    (File, "<document>\n‸<1/>\n</document>\n", &["stray <"]),
    (File, "<document>\n<a ‸<b/>\n</document>\n", &["stray < inside the tag <a>; close <a> with > or /> first"]),
    (File, "<document>\n<a b=\"1\" ‸<c/>\n</document>\n", &["stray < inside the tag <a>"]),
    (File, "<document>\n‸<a b=\"1\"\n", &["the tag <a is never closed"]),
    (File, "<document>\n<a b=‸\"1>\n", &["the value of attribute b of <a> is never closed; a closing \" is missing"]),
    (File, "<document>\n‸<!-- never\n</document>\n", &["this comment is never closed; write -->"]),
    (File, "<document>\n<a>‸<![CDATA[ x </a>\n</document>\n", &["this <![CDATA[ is never closed; write ]]>"]),
    (File, "‸<!DOCTYPE x [\n<document/>\n", &["this <!DOCTYPE is never closed"]),
    (File, "<document>\n<a>x ‸& y</a>\n</document>\n", &["warning: a lone & is kept as it is; write &amp;"]),
    (File, "<document>\n<a b=\"x‸&y\"/>\n</document>\n", &["warning: a lone & is kept as it is"]),
    (File, "<document>\n<a b=\"é‸&nbsp;\"/>\n</document>\n", &["warning: unknown entity &nbsp; is kept as it is"]),
    (File, "<document>\n<a b=\"‸&#0;\"/>\n</document>\n", &["warning: a lone & is kept as it is"]),
    (File, "<document/>\n‸<more/>\n", &["warning: <more> stands after the end of <document>"]),
    (File, "<document>\n<a‸/b/>\n</document>\n", &["stray / in <a>"]),
    (File, "<document><é><ü>\n‸</é></document>\n", &["</é> stands where <ü> of conf/t.xml:1:14 must be closed"]),
    (File, "<document>\n\t<a>\t‸</b></a>\n</document>\n", &["</b> stands where <a>"]),
    (Document, "‸<X-PRE-PROCESS data=\"a=b\"/>", &["X-PRE-PROCESS without cmd does nothing"]),
    (Document, "‸<X-PRE-PROCESS cmd=\"set\"/>", &["X-PRE-PROCESS without data on the same line does nothing"]),
    (Document, "‸<X-PRE-PROCESS cmd='set' data='a=b'/>", &["the value of cmd is not in double quotes, so this line does nothing"]),
    (Document, "‸<X-PRE-PROCESS cmd=\"set\" data='a=b'/>", &["the value of data is not in double quotes"]),
    (Document, "‸<X-PRE-PROCESS data=\"a=b\" cmd=\"set\"/>", &["data must come after cmd"]),
    (Document, "‸<X-PRE-PROCESS cmd=\"set\n", &["X-PRE-PROCESS without data"]),
    (Document, "<X-PRE-PROCESS cmd=\"‸sett\" data=\"a=b\"/>", &["unknown X-PRE-PROCESS command sett; did you mean set?"]),
    (Document, "<X-PRE-PROCESS cmd=\"‸frobnicate\" data=\"a=b\"/>", &["unknown X-PRE-PROCESS command frobnicate; known are set, include"]),
    (Document, "<X-PRE-PROCESS cmd=\"set\" data=\"‸novalue\"/>", &["set without = does nothing"]),
    (Document, "<X-PRE-PROCESS cmd=\"set\" data=\"‸=value\"/>", &["a variable without a name is not set"]),
    (Document, "<X-PRE-PROCESS cmd=\"env-set\" data=\"‸a=HOME\"/>", &["env-set of a does nothing: the variable needs a $; write data=\"a=$HOME\""]),
    (Document, "<X-PRE-PROCESS cmd=\"exec\" data=\"‸date\"/>", &["this would run a command, which is switched off; start with --allow-exec"]),
    (Document, "<X-PRE-PROCESS cmd=\"exec-set\" data=\"‸a=date\"/>", &["this would run a command"]),
    (Document, "<X-PRE-PROCESS cmd=\"stun-set\" data=\"‸a=stun:\"/>", &["stun: names no STUN server"]),
    (Document, "<X-PRE-PROCESS cmd=\"stun-set\" data=\"‸a=stun:h:x\"/>", &["stun:h:x names no STUN server"]),
    (Document, "<X-PRE-PROCESS cmd=\"stun-set\" data=\"‸a=host:\"/>", &["host: without a name"]),
    (Document, "<X-PRE-PROCESS cmd=\"include\" data=\"‸../../elsewhere/*.xml\"/>", &["leads out of the configuration folder and is not read; if it is meant, write the whole path"]),
    (Document, "<X-PRE-PROCESS cmd=\"include\" data=\"‸nowhere.xml\"/>", &["warning: there is no file conf/nowhere.xml"]),
    (Document, "<X-PRE-PROCESS cmd=\"include\" data=\"‸nowhere/*.xml\"/>", &["note: no file matches nowhere/*.xml"]),
    (Document, "<X-PRE-PROCESS cmd=\"include\" data=\"‸\"/>", &["include names no file"]),
    (Document, "‸<X-PRE-PROCESS cmd=\"set\" data=\"a=b\"/> <lost/>", &["everything else on this line is lost"]),
    (Document, "<lost/> ‸<X-PRE-PROCESS cmd=\"set\" data=\"a=b\"/>", &["everything else on this line is lost"]),
    (Document, "<!-- ‸<X-PRE-PROCESS cmd=\"set\" data=\"a=b\"/> -->", &["a comment does not protect X-PRE-PROCESS"]),
    (Document, "<!--\n  ‸<X-PRE-PROCESS cmd=\"set\" data=\"a=b\"/>\n-->", &["a comment does not protect X-PRE-PROCESS"]),
    (Document, "‸<include><lost/>", &["everything else on this line is lost"]),
    (Document, "<lost/>‸</include>", &["everything else on this line is lost"]),
    (Document, "<a b=\"‸$${nobody_set_this}\"/>", &["warning: $${nobody_set_this} is not set, so it is empty here"]),
    (Document, "<a b=\"x‸$${domian}\"/>\n<X-PRE-PROCESS cmd=\"set\" data=\"domain=x\"/>", &["$${domian} is not set, so it is empty here; did you mean $${domain}?"]),
    (Document, "<a b=\"‸$${later}\"/>\n<X-PRE-PROCESS cmd=\"set\" data=\"later=x\"/>", &["$${later} is set only later, so it is empty here; move the line"]),
    (Document, "<a b=\"‸$${open\"/>", &["unterminated $${"]),
    (Document, "<X-PRE-PROCESS cmd=\"set\" data=\"long=0123456789\"/>\n<a b=\"$${long}\" ‸b=\"2\"/>", &["attribute b is given twice; the first, at 3:4"]),
    (Document, "<X-PRE-PROCESS cmd=\"set\" data=\"bad=<\"/>\n<a>‸$${bad}</a>", &["stray <"]),
    (Root, "<section name=\"‸configurations\"/>", &["nobody reads a section configurations; did you mean configuration?"]),
    (Root, "‸<section/>", &["<section> has no name"]),
    (Root, "‸<configuration name=\"acl.conf\"/>", &["<configuration> stands outside every <section>"]),
    (Configuration, "‸<configuration/>", &["<configuration> has no name"]),
    (Configuration, "<configuration name=\"a.conf\"/>\n‸<configuration name=\"A.conf\"/>", &["configuration A.conf is there twice; only the first, at conf/t.xml:4:1, counts"]),
    (Dialplan, "‸<context name=\"default\"/>", &["context default is there twice; only the first"]),
    (Dialplan, "‸<extension name=\"x\"/>", &["<extension> stands outside every <context>"]),
    (Switch, "<param name=\"max-sessions\" value=\"‸many\"/>", &["max-sessions is `many`; write a whole number from 1 to 1000000"]),
    (Switch, "<param name=\"max-sessions\" value=\"‸0\"/>", &["max-sessions is `0`"]),
    (Switch, "<param name=\"max-sessions\" value=\"‸-1\"/>", &["max-sessions is `-1`"]),
    (Switch, "<param name=\"sessions-per-second\" value=\"‸30/s\"/>", &["sessions-per-second is `30/s`"]),
    (Switch, "<param name=\"rtp-start-port\" value=\"‸80\"/>", &["rtp-start-port is `80`; write a whole number from 1024 to 65534"]),
    (Switch, "<param name=\"rtp-end-port\" value=\"‸70000\"/>", &["rtp-end-port is `70000`; write a whole number from 1024 to 65535"]),
    (Switch, "<param name=\"loglevel\" value=\"‸debugg\"/>", &["loglevel is `debugg`; did you mean debug?"]),
    (Switch, "<param name=\"loglevel\" value=\"‸loud\"/>", &["loglevel is `loud`; write one of debug, info"]),
    (Switch, "<param name=\"uuid-version\" value=\"‸5\"/>", &["uuid-version is `5`; write one of 4, 7"]),
    (Switch, "<param name=\"event-heartbeat-interval\" value=\"‸0\"/>", &["event-heartbeat-interval is `0`"]),
    (Switch, "<param name=\"min-dtmf-duration\" value=\"‸1\"/>", &["min-dtmf-duration is `1`"]),
    (Switch, "<param name=\"rtp-start-port\" value=\"30000\"/>\n<param name=\"rtp-end-port\" value=\"‸20000\"/>", &["the RTP ports end at 20000 before they begin at 30000"]),
    (Switch, "<param name=\"rtp-start-port\" value=\"30000\"/>\n<param name=\"rtp-end-port\" value=\"‸30010\"/>\n<param name=\"max-sessions\" value=\"6\"/>", &["note: ports 30000 to 30010 carry 5 audio streams, fewer than max-sessions 6"]),
    (Switch, "<param name=\"min-dtmf-duration\" value=\"‸5000\"/>\n<param name=\"max-dtmf-duration\" value=\"4000\"/>", &["min-dtmf-duration is larger than max-dtmf-duration"]),
    (Switch, "<param name=\"‸max-session\" value=\"1\"/>", &["switch.conf has no parameter max-session; did you mean max-sessions?"]),
    (Profile, "<param name=\"sip-port\" value=\"‸65536\"/>", &["sip-port is `65536`; write a whole number from 1 to 65535"]),
    (Profile, "<param name=\"sip-port\" value=\"‸506o\"/>", &["sip-port is `506o`"]),
    (Profile, "<param name=\"sip-port\" value=\"‸-5060\"/>", &["sip-port is `-5060`"]),
    (Profile, "<param name=\"sip-port\" value=\"‸\"/>", &["warning: sip-port is empty; 5060 is taken"]),
    (Profile, "<param name=\"ext-sip-port\" value=\"‸0\"/>", &["ext-sip-port is `0`"]),
    (Profile, "<param name=\"sip-ip\" value=\"‸192.0.2.256\"/>", &["sip-ip is `192.0.2.256`, which is no IP address; write an IPv4 or IPv6 address, auto, or interface:NAME"]),
    (Profile, "<param name=\"sip-ip\" value=\"‸0.0.0.0\"/>", &["warning: sip-ip cannot be 0.0.0.0"]),
    (Profile, "<param name=\"rtp-ip\" value=\"‸eth0\"/>", &["rtp-ip is `eth0`, which is no IP address"]),
    (Profile, "<param name=\"rtp-ip\" value=\"‸interface:\"/>", &["rtp-ip names no interface"]),
    (Profile, "<param name=\"ext-rtp-ip\" value=\"‸\"/>", &["warning: ext-rtp-ip is empty"]),
    (Profile, "<param name=\"ext-rtp-ip\" value=\"‸stun:\"/>", &["stun: names no STUN server"]),
    (Profile, "<param name=\"ext-sip-ip\" value=\"‸1.2.3\"/>", &["ext-sip-ip is `1.2.3`, which is no address"]),
    (Profile, "<param name=\"ext-sip-ip\" value=\"‸my host\"/>", &["ext-sip-ip is `my host`, which is no address"]),
    (Profile, "<param name=\"context\" value=\"‸\"/>", &["context is empty; default is taken"]),
    (Profile, "<param name=\"dialplan\" value=\"‸LCR\"/>", &["there is no dialplan LCR"]),
    (Profile, "<param name=\"codec-prefs\" value=\"‸,\"/>", &["codec-prefs names no codec"]),
    (Profile, "<param name=\"inbound-codec-negotiation\" value=\"‸greed\"/>", &["inbound-codec-negotiation is `greed`; write one of generous, greedy, scrooge"]),
    (Profile, "<param name=\"caller-id-type\" value=\"‸rpidd\"/>", &["caller-id-type is `rpidd`; did you mean rpid?"]),
    (Profile, "<param name=\"dtmf-type\" value=\"‸rfc4733\"/>", &["dtmf-type is `rfc4733`"]),
    (Profile, "<param name=\"dtmf-duration\" value=\"‸100\"/>", &["warning: dtmf-duration 100 is out of range; 2000 is taken"]),
    (Profile, "<param name=\"dtmf-duration\" value=\"‸long\"/>", &["dtmf-duration is `long`"]),
    (Profile, "<param name=\"rfc2833-pt\" value=\"‸95\"/>", &["rfc2833-pt is `95`; write a whole number from 96 to 127"]),
    (Profile, "<param name=\"rtp-timeout-sec\" value=\"‸5 min\"/>", &["rtp-timeout-sec is `5 min`; write a whole number from 0"]),
    (Profile, "<param name=\"max-calls\" value=\"‸lots\"/>", &["max-calls is `lots`"]),
    (Profile, "<param name=\"nonce-ttl\" value=\"‸1h\"/>", &["nonce-ttl is `1h`"]),
    (Profile, "<param name=\"session-timeout\" value=\"‸30\"/>", &["session-timeout is below the 90 s that RFC 4028 allows"]),
    (Profile, "<param name=\"timer-T1\" value=\"‸0.5\"/>", &["timer-T1 is `0.5`"]),
    (Profile, "<param name=\"timer-T1X64\" value=\"‸32s\"/>", &["timer-T1X64 is `32s`"]),
    (Profile, "<param name=\"auth-calls\" value=\"‸maybe\"/>", &["warning: auth-calls is `maybe`, which counts as false; write true or false"]),
    (Profile, "<param name=\"enable-timer\" value=\"‸y\"/>", &["enable-timer is `y`, which counts as false"]),
    (Profile, "<param name=\"multiple-registrations\" value=\"‸many\"/>", &["multiple-registrations is `many`, which counts as false"]),
    (Profile, "<param name=\"enable-3pcc\" value=\"‸proxi\"/>", &["enable-3pcc is `proxi`, which counts as false"]),
    (Profile, "<param name=\"challenge-realm\" value=\"‸auto-from\"/>", &["challenge-realm is the literal text `auto-from`; did you mean auto_from?"]),
    (Profile, "<param name=\"challenge-realm\" value=\"‸a&quot;b\"/>", &["challenge-realm holds a quote or a control character"]),
    (Profile, "<param name=\"accept-blind-reg\" value=\"‸true\"/>", &["accept-blind-reg lets anybody register as anybody"]),
    (Profile, "<param name=\"accept-blind-auth\" value=\"‸true\"/>", &["accept-blind-auth takes any password for right"]),
    (Profile, "<param name=\"contact-user\" value=\"‸a@b\"/>", &["contact-user is `a@b`, which is no user part of a URI"]),
    (Configuration, "<configuration name=\"modules.conf\"><modules><load module=\"mod_event_socket\"/></modules></configuration><configuration name=\"event_socket.conf\"><settings><param name=\"password\" value=\"x\"/><param name=\"apply-inbound-acl\" value=\"‸nat.autoo\"/><param name=\"apply-inbound-acl\" value=\"10.0.0.0/8\"/></settings></configuration>", &["apply-inbound-acl: there is no access list nat.autoo, so nobody may connect to the event socket; did you mean nat.auto?"]),
    (Profile, "<param name=\"apply-inbound-acl\" value=\"‸lann\"/>", &["apply-inbound-acl: there is no access list lann, so it matches nobody"]),
    (Profile, "<param name=\"apply-nat-acl\" value=\"‸nat.autoo\"/>", &["apply-nat-acl: there is no access list nat.autoo, so it matches nobody; did you mean nat.auto?"]),
    (Profile, "<param name=\"rfc8760-auth-algorithms\" value=\"‸SHA-512-256,MD5\"/>", &["SHA-512-256 is not provided"]),
    (Profile, "<param name=\"apply-register-acl\" value=\"‸10.0.0.0/33\"/>", &["apply-register-acl: there is no access list 10.0.0.0/33"]),
    (Profile, "<param name=\"‸sip-prot\" value=\"5060\"/>", &["a SIP profile has no parameter sip-prot; did you mean sip-port?"]),
    (Profile, "<param name=\"‸Inbound-Codec-Pref\" value=\"PCMU\"/>", &["a SIP profile has no parameter inbound-codec-pref; did you mean inbound-codec-prefs?"]),
    (Profile, "<param name=\"‸frobnicate\" value=\"1\"/>", &["a SIP profile has no parameter frobnicate; it does nothing"]),
    (Profile, "<param name=\"‸tls\" value=\"true\"/>", &["warning: tls: SIP over TLS is not provided yet"]),
    (Profile, "<param name=\"‸tls\" value=\"false\"/>", &["note: tls is known but not provided yet"]),
    (Profile, "<param name=\"‸debug\" value=\"0\"/>\n<param name=\"debug\" value=\"1\"/>", &["note: debug is known but not provided yet (and in one more place)"]),
    (Profile, "‸<param value=\"1\"/>", &["<param> has no name"]),
    (Profile, "‸<param name=\"sip-trace\"/>", &["parameter sip-trace has no value"]),
    (Profile, "‸<parm name=\"sip-port\" value=\"1\"/>", &["<parm> means nothing in <settings>; did you mean <param>?"]),
    (InProfile, "<gateways>‸<gateway/></gateways>", &["<gateway> has no name"]),
    (InProfile, "<gateways><gateway name=\"‸a b\"/></gateways>", &["`a b` is no name for a gateway"]),
    (InProfile, "<gateways>‸<gateway name=\"a\"><param name=\"‸Realm\" value=\"x\"/></gateway></gateways>", &["gateway a is left out: it is to register and has no username", "a gateway has no parameter Realm; did you mean realm?"]),
    (InProfile, "<gateways>‸<gateway name=\"a\"><param name=\"username\" value=\"x\"/></gateway></gateways>", &["gateway a is left out: it is to register and has no password"]),
    (InProfile, "<gateways><gateway name=\"a\"><param name=\"register\" value=\"no\"/></gateway>‸<gateway name=\"a\"><param name=\"register\" value=\"no\"/></gateway></gateways>", &["gateway a is defined twice"]),
    (InProfile, "<gateways>‸<gateway name=\"a\"><param name=\"register\" value=\"no\"/><param name=\"proxy\" value=\"a b\"/></gateway></gateways>", &["its proxy `a b` is no address"]),
    (InProfile, "<gateways><gateway name=\"a\"><param name=\"register\" value=\"no\"/><param name=\"ping\" value=\"‸3\"/></gateway></gateways>", &["ping is `3`, so the gateway is not pinged"]),
    (InProfile, "<gateways><gateway name=\"a\"><param name=\"register\" value=\"no\"/><param name=\"register-transport\" value=\"‸tls\"/></gateway></gateways>", &["SIP over TLS is not provided yet"]),
    (InProfile, "<gateways><gateway name=\"a\"><param name=\"register\" value=\"no\"/><param name=\"‸cid-type\" value=\"pid\"/></gateway></gateways>", &["nobody reads cid-type of a gateway"]),
    (InProfile, "<gateways><gateway name=\"a\"><param name=\"register\" value=\"no\"/><param name=\"retry-seconds\" value=\"‸1\"/></gateway></gateways>", &["retry-seconds is `1`; 30 is taken"]),
    (InProfile, "<gateways><gateway name=\"a\"><param name=\"register\" value=\"no\"/><variables><variable name=\"x\" value=\"y\" direction=\"‸up\"/></variables></gateway></gateways>", &["variable x is never set"]),
    (InProfile, "<domains>‸<domain alias=\"true\"/></domains>", &["<domain> of a profile has no name"]),
    (InProfile, "<aliases>‸<alias/></aliases>", &["<alias> has no name"]),
    (Profiles, "‸<profile><settings/></profile>", &["<profile> has no name"]),
    (Profiles, "‸<profile name=\"x\"/>", &["profile x has no <settings>"]),
    (Profiles, "‸<profile name=\"Internal\"><settings/></profile>", &["profile Internal is defined twice; the first"]),
    (Profiles, "‸<profile name=\"x\"><settings/></profile>", &["profiles internal and x both listen on auto port 5060"]),
    (Profiles, "‸<profile name=\"x\"><settings><param name=\"sip-port\" value=\"5080\"/><param name=\"context\" value=\"pubic\"/></settings></profile>", &["profile x sends calls to context pubic, which the dialplan does not have; did you mean public?"]),
    (Configuration, "<configuration name=\"modules.conf\"><modules>‸<load/></modules></configuration>", &["<load> names no module"]),
    (Configuration, "<configuration name=\"modules.conf\"><modules><load module=\"‸mod_sofya\"/></modules></configuration>", &["there is no module mod_sofya; did you mean mod_sofia?"]),
    (Configuration, "<configuration name=\"modules.conf\">‸<modules><load module=\"mod_lua\"/></modules></configuration>", &["note: modules known but not provided yet: mod_lua"]),
    (Tree, "‸‸<document/>", &["there is no configuration sofia.conf, so there is no SIP profile", "there is no dialplan"]),
    (Tree, "<document><section name=\"configuration\">‸<configuration name=\"sofia.conf\"/></section><section name=\"dialplan\"><context name=\"default\"/></section></document>", &["sofia.conf has no usable profile"]),
    (Tree, "‸<document><section name=\"configuration\"><configuration name=\"sofia.conf\"><profiles><profile name=\"x\"><settings/></profile></profiles></configuration></section></document>", &["there is no dialplan, so no call goes anywhere"]),
    (Root, "<section name=\"directory\"><domain name=\"a\"><X-NO-PRE-PROCESS/></domain>‸<domain name=\"A\"/></section>", &["domain 'A' is ignored"]),
];

#[test]
fn every_problem_is_found_at_its_place_and_no_other() {
    assert!(TABLE.len() >= 100, "{}", TABLE.len());
    let mut wrong = Vec::new();
    for (around, text, says) in TABLE {
        let (text, places) = marks(&whole(*around, text));
        let loaded = parse("conf/t.xml", &text, &Options::new("conf"));
        let loaded = if matches!(around, File | Document) { loaded } else { check(loaded).0 };
        let mut found: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        let mut missing = Vec::new();
        assert_eq!(places.len(), says.len(), "one mark for each problem: {text}");
        for ((line, column), said) in places.iter().zip(*says) {
            let place = format!("conf/t.xml:{line}:{column}: ");
            match found.iter().position(|f| f.starts_with(&place) && f.contains(said)) {
                Some(index) => {
                    found.remove(index);
                }
                None => missing.push(format!("{place}…{said}")),
            }
        }
        if !missing.is_empty() || !found.is_empty() {
            wrong.push(format!("{text}\n  missing {missing:#?}\n  found {found:#?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
}

#[test]
fn every_message_says_what_would_be_right() {
    for (around, text, _) in TABLE {
        let (text, _) = marks(&whole(*around, text));
        let loaded = check(parse("conf/t.xml", &text, &Options::new("conf"))).0;
        for problem in loaded.problems.iter().filter(|p| p.is_error()) {
            assert!(problem.hint.is_some(), "{problem}");
        }
    }
}
