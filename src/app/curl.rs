//! `curl`: asks a web server, the answer goes into variables (FreeSWITCH's mod_curl.c).
//!
//! The asking is done beside the call, by `ureq` on a thread of its own; the leg goes on with its SIP meanwhile. An answer
//! is text from outside: it is never expanded.

use super::call::Call;
use super::places::Places;
use crate::channel::Leg;
use crate::dialplan::{Expanded, plain, separate, url_decoded};
use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;
use tracing::{debug, warn};

/// Bytes of an answer that are kept: FreeSWITCH's `max-bytes`.
const MOST: u64 = 64_000;
/// How long the whole may take unless `curl_timeout` says otherwise.
const WHOLE: Duration = Duration::from_secs(30);
/// The same for the connection, with `curl_connect_timeout`.
const CONNECTION: Duration = Duration::from_secs(10);
/// No variable makes a call wait longer.
const LONGEST: u64 = 300;
/// Words an application's data may have.
const WORDS: usize = 64;
/// Redirections that are followed.
const REDIRECTIONS: u32 = 15;

/// Requests that may be under way at a time.
static PLACES: Places = Places::new(128);

/// `URL [headers|json] [content-type TYPE] [append_headers NAME:VALUE]… [insecure|secure] [get|head|post|put|patch|delete
/// [DATA]]`. The data of a request is URL-encoded. Results: `curl_response_code` (0 without an answer),
/// `curl_response_data`, `curl_method`.
pub async fn run(call: &mut Call, data: &Expanded) {
    let words = separate(data.guarded(), ' ', WORDS);
    let words: Vec<Cow<'_, str>> = words.iter().map(|word| plain(word)).collect();
    let Some(request) = Request::read(&words) else {
        return warn!("{} {}: curl({}): write a URL first", call.leg.uuid, call.leg.name(), data.text);
    };
    let request = Request {
        whole: seconds(&call.leg, "curl_timeout").unwrap_or(WHOLE),
        connection: seconds(&call.leg, "curl_connect_timeout").unwrap_or(CONNECTION),
        ..request
    };
    let said = format!("{} {}: curl {} {}", call.leg.uuid, call.leg.name(), request.method, request.url);
    let (method, shape) = (request.named.clone(), request.shape);
    let Some(place) = PLACES.take() else {
        warn!("{said}: {} requests are under way, this one is not made", PLACES.all());
        return keep(&mut call.leg, &Answer::default(), shape, method.as_deref());
    };
    let work = tokio::task::spawn_blocking(move || {
        let _place = place;
        fetch(&request)
    });
    let Some(done) = call.leg.until(work).await else { return };
    let answer = match done {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            warn!("{said}: {error}");
            Answer::default()
        }
        Err(error) => {
            warn!("{said}: {error}");
            Answer::default()
        }
    };
    debug!("{said}: {} and {} bytes", answer.status, answer.body.len());
    keep(&mut call.leg, &answer, shape, method.as_deref());
}

fn seconds(leg: &Leg, name: &str) -> Option<Duration> {
    let seconds: u64 = leg.variables.get(name)?.trim().parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds.min(LONGEST)))
}

fn keep(leg: &mut Leg, answer: &Answer, shape: Shape, method: Option<&str>) {
    leg.variables.set_wire("curl_response_data", answer.text(shape));
    leg.variables.print("curl_response_code", answer.status);
    leg.variables.set_wire("curl_method", method.unwrap_or(""));
}

/// How the answer is put into its variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Body,
    /// The headers before it.
    Headers,
    /// One JSON object.
    Json,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    url: String,
    method: String,
    /// The method as it was written, if it was.
    named: Option<String>,
    body: Option<String>,
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    shape: Shape,
    insecure: bool,
    whole: Duration,
    connection: Duration,
}

impl Request {
    fn read(words: &[Cow<'_, str>]) -> Option<Request> {
        let mut words = words.iter();
        let url = words.next().filter(|url| !url.is_empty())?;
        let mut request = Request {
            url: url.to_string(),
            method: "GET".to_owned(),
            named: None,
            body: None,
            content_type: None,
            headers: Vec::new(),
            shape: Shape::Body,
            insecure: false,
            whole: WHOLE,
            connection: CONNECTION,
        };
        while let Some(word) = words.next() {
            let is = |known: &str| known.eq_ignore_ascii_case(word);
            match () {
                () if is("headers") => request.shape = Shape::Headers,
                () if is("json") => request.shape = Shape::Json,
                () if is("insecure") => request.insecure = true,
                () if is("secure") => request.insecure = false,
                () if is("content-type") => request.content_type = words.next().map(|word| word.to_string()),
                () if is("append_headers") => {
                    let header = words.next().and_then(|word| word.split_once(':'));
                    request.headers.extend(header.map(|(n, v)| (n.to_owned(), v.trim().to_owned())));
                }
                () if is("proxy") => {
                    words.next();
                    warn!("curl: a proxy is not provided; the request goes out without");
                }
                () if is("get") || is("head") => request.says(word),
                () if ["post", "put", "patch", "delete"].iter().any(|known| is(known)) => {
                    request.says(word);
                    request.body = Some(words.next().map(|word| url_decoded(word)).unwrap_or_default());
                }
                () => {}
            }
        }
        Some(request)
    }

    fn says(&mut self, method: &str) {
        self.method = method.to_ascii_uppercase();
        self.named = Some(method.to_owned());
    }
}

#[derive(Debug, Default)]
struct Answer {
    status: u16,
    phrase: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn text(&self, shape: Shape) -> String {
        match shape {
            Shape::Body => self.body.clone(),
            Shape::Headers => {
                let first = format!("HTTP/1.1 {} {}\n", self.status, self.phrase);
                let rest = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
                [first].into_iter().chain(rest).chain(["\n".to_owned(), self.body.clone()]).collect()
            }
            Shape::Json => {
                let headers: Vec<_> = self
                    .headers
                    .iter()
                    .map(|(name, value)| serde_json::json!({ "key": name, "value": value }))
                    .collect();
                let status = self.status.to_string();
                serde_json::json!({ "status_code": status, "body": self.body, "phrase": self.phrase, "headers": headers })
                    .to_string()
            }
        }
    }
}

/// Makes the request and waits for its answer.
fn fetch(request: &Request) -> Result<Answer, ureq::Error> {
    let tls = ureq::tls::TlsConfig::builder().disable_verification(request.insecure).build();
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(request.whole))
        .timeout_connect(Some(request.connection))
        .http_status_as_error(false)
        .max_redirects(REDIRECTIONS)
        .max_idle_connections(0)
        .proxy(None)
        .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent();
    let mut asked = ureq::http::Request::builder().method(request.method.as_str()).uri(&request.url);
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    if let Some(content_type) = request.content_type.as_ref().filter(|_| request.body.is_some()) {
        asked = asked.header("Content-Type", content_type);
    }
    let mut response = match &request.body {
        Some(body) => agent.run(asked.body(body.as_str())?)?,
        None => agent.run(asked.body(())?)?,
    };
    let headers = response.headers().iter();
    let headers = headers.map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let mut answer = Answer {
        status: response.status().as_u16(),
        phrase: response.status().canonical_reason().unwrap_or("").to_owned(),
        headers: headers.collect(),
        body: String::new(),
    };
    let mut bytes = Vec::new();
    response.body_mut().as_reader().take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        warn!("curl {}: the answer is cut after {MOST} bytes", request.url);
        bytes.truncate(MOST as usize);
    }
    answer.body = String::from_utf8_lossy(&bytes).replace('\0', "");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    /// A server that gives these answers, one connection each, and hands back what it was asked.
    fn server(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let base = address.clone();
        let work = move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = String::new();
                let mut bytes = [0; 4096];
                loop {
                    let head = text.find("\r\n\r\n").map(|at| at + 4);
                    let length =
                        text.to_ascii_lowercase().split_once("content-length: ").map_or(0, |(_, rest)| {
                            rest.split_once('\r').map_or(0, |(number, _)| number.parse::<usize>().unwrap())
                        });
                    if head.is_some_and(|head| text.len() >= head + length) {
                        break;
                    }
                    let count = stream.read(&mut bytes).unwrap();
                    text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                }
                let _ = stream.write_all(answer.replace("BASE", &base).as_bytes());
                asked.push(text);
            }
            asked
        };
        (address, std::thread::spawn(work))
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Seen: yes\r\n\r\n{body}", body.len())
    }

    fn read(text: &str) -> Request {
        let words: Vec<String> = separate(text, ' ', WORDS);
        let words: Vec<Cow<'_, str>> = words.iter().map(|word| Cow::Borrowed(word.as_str())).collect();
        Request::read(&words).unwrap()
    }

    #[test]
    fn arguments() {
        let request =
            read("http://h/ headers content-type text/plain append_headers 'X-A: b c' POST a%20b insecure");
        assert_eq!((request.method.as_str(), request.named.as_deref()), ("POST", Some("POST")));
        assert_eq!(request.body.as_deref(), Some("a b"));
        assert_eq!(request.headers, [("X-A".to_owned(), "b c".to_owned())]);
        assert_eq!((request.shape, request.insecure), (Shape::Headers, true));
        assert_eq!(read("http://h/ json secure post").body.as_deref(), Some(""));
        assert_eq!(read("http://h/ nonsense").named, None);
        assert_eq!(Request::read(&[]), None);
    }

    #[test]
    fn asks_and_tells() {
        let moved = "HTTP/1.1 302 Found\r\nLocation: BASE/there\r\nContent-Length: 0\r\n\r\n".to_owned();
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone".to_owned();
        let answers = vec![ok("hello"), ok("deleted"), missing, moved, ok("here"), ok(&"x".repeat(70_000))];
        let (address, server) = server(answers);
        let ask = |rest: &str| fetch(&read(&format!("{address}/{rest}"))).unwrap();
        let answer = ask("a?b=c append_headers X-A:b");
        assert_eq!(answer.text(Shape::Body), "hello");
        assert_eq!(answer.text(Shape::Headers), "HTTP/1.1 200 OK\ncontent-length: 5\nx-seen: yes\n\nhello");
        let json: serde_json::Value = serde_json::from_str(&answer.text(Shape::Json)).unwrap();
        assert_eq!((&json["status_code"], &json["body"]), (&"200".into(), &"hello".into()));
        assert_eq!(json["headers"][1], serde_json::json!({ "key": "x-seen", "value": "yes" }));
        assert_eq!(ask("x content-type a/b delete q%3D1").body, "deleted");
        assert_eq!((ask("y").status, ask("z").body), (404, "here".to_owned()));
        assert_eq!(ask("long").body.len(), 64_000);
        let asked = server.join().unwrap();
        assert!(
            asked[0].starts_with("GET /a?b=c HTTP/1.1\r\n") && asked[0].contains("x-a: b\r\n"),
            "{}",
            asked[0]
        );
        assert!(asked[1].starts_with("DELETE /x ") && asked[1].ends_with("\r\n\r\nq=1"), "{}", asked[1]);
        assert!(asked[1].contains("content-type: a/b\r\n"), "{}", asked[1]);
        assert!(asked[4].starts_with("GET /there "), "{}", asked[4]);
    }

    #[test]
    fn what_does_not_answer_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = format!("http://{}/", listener.local_addr().unwrap());
        let request = Request { whole: Duration::from_millis(200), ..read(&silent) };
        let begun = std::time::Instant::now();
        assert!(fetch(&request).is_err());
        assert!(begun.elapsed() < Duration::from_secs(10));
        for url in ["http://127.0.0.1:1/", "no url", "ftp://127.0.0.1/", "http://127.0.0.1:1/\u{7f}"] {
            assert!(fetch(&read(url)).is_err(), "{url}");
        }
    }
}
