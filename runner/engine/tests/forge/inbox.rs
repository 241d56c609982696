//! Where people are told, on loopback: Slack's methods, hooks of any kind, and a mail server. It keeps what it was given
//! and misbehaves as it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// What happens to one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is answered with this status, and perhaps `Retry-After`.
    Refuse(u16, Option<u64>),
    /// It is sent elsewhere.
    Redirect(String),
    /// It is done, and the answer breaks off.
    Half,
    /// It is done and never answered.
    Hang,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Came {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) came: Vec<Came>,
    /// Slack's messages by time; each with the texts that it had.
    pub(crate) messages: BTreeMap<String, Vec<String>>,
    /// Mails: to whom, and the whole of it.
    pub(crate) mails: Vec<(String, String)>,
    /// What happens to the next requests.
    pub(crate) faults: VecDeque<Fault>,
    /// Answers of the mail server to the next recipients, instead of 250.
    pub(crate) refusals: VecDeque<&'static str>,
    /// With what the mail server offers to go on after `STARTTLS`; nothing: it does not offer that.
    pub(crate) tls: Option<TlsAcceptor>,
    /// What the mail server was told before and after that, without greetings: lines of commands.
    pub(crate) told: [Vec<String>; 2],
}

#[derive(Clone)]
pub(crate) struct Inbox {
    pub(crate) http: SocketAddr,
    pub(crate) smtp: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Inbox {
    pub(crate) async fn start() -> Self {
        let (http, smtp) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let inbox = Self { http: http.local_addr().unwrap(), smtp: smtp.local_addr().unwrap(), state: Arc::default() };
        let (web, post) = (inbox.clone(), inbox.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = http.accept().await.unwrap();
                let inbox = web.clone();
                let service = hyper::service::service_fn(move |request| {
                    let inbox = inbox.clone();
                    async move { inbox.serve(request).await }
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        tokio::spawn(async move {
            loop {
                let (stream, _) = smtp.accept().await.unwrap();
                let inbox = post.clone();
                tokio::spawn(async move { drop(inbox.take_mail(stream).await) });
            }
        });
        inbox
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let came = Came {
            at: Instant::now(),
            path: head.uri.path().to_owned(),
            headers: headers.collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        let fault = self.state().faults.pop_front();
        let answer = |status: u16, body: String| {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
            response
        };
        match &fault {
            Some(Fault::Refuse(status, after)) => {
                self.state().came.push(came);
                let mut response = answer(*status, "no".into());
                after.map(|after| response.headers_mut().insert("retry-after", after.to_string().parse().unwrap()));
                return Ok(response);
            }
            Some(Fault::Redirect(to)) => {
                self.state().came.push(came);
                let mut response = answer(302, String::new());
                response.headers_mut().insert("location", to.parse().unwrap());
                return Ok(response);
            }
            Some(Fault::Half | Fault::Hang) | None => {}
        }
        let said = self.state().take(&came);
        self.state().came.push(came);
        match fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Half) => Err(std::io::Error::other("broken on purpose")),
            Some(Fault::Refuse(..) | Fault::Redirect(_)) | None => Ok(answer(200, said.to_string())),
        }
    }

    /// A mail server that takes everything but what it was told to refuse.
    async fn take_mail(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 test\r\n").await?;
        let tls = self.state().tls.clone();
        if self.converse(&mut stream, tls.is_some(), 0).await?
            && let Some(tls) = tls
        {
            // A client that says more before the handshake is one that could be lied to (CVE-2011-0411).
            assert!(stream.buffer().is_empty(), "the client went on in the clear");
            let mut stream = BufReader::new(tls.accept(stream.into_inner()).await?);
            self.converse(&mut stream, false, 1).await?;
        }
        Ok(())
    }

    /// What is said on a connection; true where it goes on with TLS.
    async fn converse<S>(&self, stream: &mut BufReader<S>, offers_tls: bool, place: usize) -> std::io::Result<bool>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (mut to, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            if verb != "EHLO" {
                self.state().told[place].push(line.trim().to_owned());
            }
            let answer = match verb.as_str() {
                "EHLO" if offers_tls => "250-test\r\n250 STARTTLS",
                "EHLO" => "250-test\r\n250 AUTH PLAIN",
                "STAR" if offers_tls => {
                    stream.write_all(b"220 go on\r\n").await?;
                    return Ok(true);
                }
                "AUTH" => "235 welcome",
                "RCPT" => {
                    line.trim().clone_into(&mut to);
                    self.state().refusals.pop_front().unwrap_or("250 ok")
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let mut mail = String::new();
                    while !mail.ends_with("\r\n.\r\n") {
                        stream.read_line(&mut mail).await?;
                    }
                    self.state().mails.push((to.clone(), mail));
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }
}

/// A server that says that it is `localhost`, which `mail/ca.pem` vouches for.
pub(crate) fn tls() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("mail/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("mail/server-key.pem")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

impl State {
    fn take(&mut self, came: &Came) -> Json {
        let (body, number) = (came.json(), self.messages.len());
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        match came.path.as_str() {
            "/chat.postMessage" => {
                let at = format!("17000000{number:02}.000100");
                self.messages.insert(at.clone(), vec![text]);
                json!({ "ok": true, "channel": "C1", "ts": at })
            }
            "/chat.update" => match self.messages.get_mut(body["ts"].as_str().unwrap()) {
                Some(texts) => {
                    texts.push(text);
                    json!({ "ok": true, "channel": "C1", "ts": body["ts"] })
                }
                None => json!({ "ok": false, "error": "message_not_found" }),
            },
            _ => json!({ "ok": true }),
        }
    }
}
