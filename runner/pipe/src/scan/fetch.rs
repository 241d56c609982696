//! Advisories over HTTP: TLS with the certificates of this machine, by a proxy where HTTPS_PROXY
//! names one, redirects are followed a few times to https only.

use std::time::Duration;

use engine::outbound::{Getter, Proxies};
use pipelines::pieces::Pieces;
use scanners::advisory::{Answer, Fetch, FetchError, Request};
use tokio::runtime::Handle;

use crate::terminal;

/// How long nothing may come.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Pieces that wait to be read.
const PIECES_MAX: usize = 16;

/// The port.
#[derive(Debug)]
pub(super) struct Http {
    getter: Getter,
    runtime: Handle,
}

impl Http {
    pub(super) fn new(runtime: Handle) -> Result<Self, String> {
        let proxies = Proxies::from_environment(&terminal::variable).map_err(|error| format!("cannot {error}"))?;
        let getter = Getter::by(proxies).map_err(|error| format!("cannot {error}"))?;
        Ok(Self { getter, runtime })
    }
}

impl Fetch for Http {
    fn fetch(&self, request: &Request) -> Result<Answer, FetchError> {
        let failed = |what: String| FetchError { url: request.url.clone(), what };
        let mut headers = Vec::new();
        if let Some(etag) = &request.etag {
            headers.push(("if-none-match", etag.clone()));
        }
        if let Some(resume) = &request.resume {
            headers.push(("range", format!("bytes={}-", resume.from)));
            headers.push(("if-range", resume.etag.clone()));
        }
        let got = self.runtime.block_on(self.getter.get(&request.url, &headers)).map_err(failed)?;
        let (etag, length) = (got.header("etag"), got.header("content-length").and_then(|text| text.parse().ok()));
        let status = got.status;
        if status == 304 {
            return Ok(Answer::NotModified);
        }
        let (sender, pieces) = Pieces::of(PIECES_MAX);
        self.runtime.spawn(async move {
            let mut got = got;
            loop {
                let piece = tokio::time::timeout(SILENCE_MAX, got.piece()).await;
                let piece = piece.unwrap_or_else(|_| Some(Err("nothing came for a minute".to_owned())));
                let Some(piece) = piece else { break };
                // Whoever read has seen enough.
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
        });
        let body = Box::new(pieces);
        match status {
            200 => Ok(Answer::Whole { etag, length, body }),
            206 => Ok(Answer::Rest { etag, length, body }),
            other => Err(failed(format!("the server says {other}"))),
        }
    }
}
