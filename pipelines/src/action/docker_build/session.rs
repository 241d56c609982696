//! The session of a build: BuildKit's way back to us, for files, secrets and registry credentials.
//!
//! Bollard's own session carries neither files nor secrets, so this one speaks to the engine directly: one HTTP request
//! that is upgraded, and gRPC servers on the connection. Follows <https://github.com/moby/buildkit/tree/master/session>.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use bollard::health::health_check_response::ServingStatus;
use bollard::health::health_server::{Health, HealthServer};
use bollard::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use bollard::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard::moby::filesync::packet::file_sync_server::FileSyncServer;
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};

use super::context::Folders;
use crate::docker::{Docker, Socket};

/// The head of the engine's answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What a session serves.
pub(super) struct Session {
    /// Its name, which the build gives to BuildKit.
    pub(super) id: String,
    pub(super) folders: Folders,
    pub(super) secrets: Arc<HashMap<String, Vec<u8>>>,
}

/// Ends the session when dropped.
#[derive(Debug)]
pub(super) struct OpenSession {
    _ends: tokio::sync::oneshot::Sender<()>,
}

impl Session {
    /// Opens it; it is served until the result is dropped.
    pub(super) async fn open(self, docker: &Docker) -> Result<OpenSession, String> {
        let (ends, ended) = tokio::sync::oneshot::channel();
        match docker.socket().await? {
            Socket::Unix(stream) => self.start(stream, ended).await?,
            Socket::Tcp(stream) => self.start(stream, ended).await?,
        }
        Ok(OpenSession { _ends: ends })
    }

    async fn start<S>(self, mut stream: S, ended: tokio::sync::oneshot::Receiver<()>) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        upgrade(&mut stream, &self.id).await?;
        let incoming =
            futures_util::stream::iter([Ok::<_, std::io::Error>(stream)]).chain(futures_util::stream::pending());
        let server = Server::builder()
            .add_service(HealthServer::new(Healthy))
            .add_service(FileSyncServer::new(self.folders))
            .add_service(SecretsServer::new(BuildSecrets(self.secrets)))
            .serve_with_incoming_shutdown(incoming, async {
                // The sender is never used: that it is gone is the message.
                let _gone = ended.await;
            });
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::debug!(%error, "the session of a build ended");
            }
        });
        Ok(())
    }
}

/// Methods that BuildKit may call.
const METHODS: [&str; 2] = ["/moby.filesync.v1.FileSync/DiffCopy", "/moby.buildkit.secrets.v1.Secrets/GetSecret"];

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, id: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("Docker closed the session of the build: {error}");
    let mut request = format!(
        "POST /session HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\
         X-Docker-Expose-Session-Uuid: {id}\r\nX-Docker-Expose-Session-Name: pipe\r\nX-Docker-Expose-Session-Sharedkey: {id}\r\n"
    );
    for method in METHODS {
        request.push_str(&format!("X-Docker-Expose-Session-Grpc-Method: {method}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX {
            return Err("Docker did not open a session for the build".to_owned());
        }
        head.push(stream.read_u8().await.map_err(failed)?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.lines().next().unwrap_or_default();
    if status.split_ascii_whitespace().nth(1) == Some("101") {
        return Ok(());
    }
    Err(format!("Docker did not open a session for the build (`{status}`); BuildKit needs Docker 18.09 or later"))
}

#[derive(Debug)]
struct BuildSecrets(Arc<HashMap<String, Vec<u8>>>);

#[tonic::async_trait]
impl Secrets for BuildSecrets {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let data = self.0.get(&id).cloned().ok_or_else(|| Status::not_found(format!("`secrets:` has no `{id}`")))?;
        Ok(Response::new(GetSecretResponse { data }))
    }
}

/// BuildKit asks now and then whether we are still there.
#[derive(Debug)]
struct Healthy;

#[tonic::async_trait]
impl Health for Healthy {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, _request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(&self, _request: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("only `check` is served"))
    }

    async fn watch(&self, _request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only `check` is served"))
    }
}
