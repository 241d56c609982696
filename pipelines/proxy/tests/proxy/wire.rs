//! HTTP/1.1 as bytes: what a client sends is what a test wrote, what comes back is taken apart here.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A message: its first line, headers as they came, body.
#[derive(Debug, Clone, Default)]
pub struct Message {
    pub first: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection of which messages are read.
#[derive(Debug)]
pub struct Wire {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub async fn to(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.expect("somebody listens"))
    }

    pub async fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.as_bytes()).await
    }

    async fn more(&mut self) -> std::io::Result<usize> {
        self.stream.read_buf(&mut self.read).await
    }

    /// Everything until the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while matches!(self.more().await, Ok(more) if more > 0) {}
        std::mem::take(&mut self.read)
    }

    /// The head of the next message; `None` at the end.
    pub async fn head(&mut self) -> std::io::Result<Option<Message>> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let pair = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Ok(Some(Message { first, headers: lines.filter_map(pair).collect(), body: Vec::new() }))
    }

    async fn take(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        while self.read.len() < length {
            if self.more().await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.read.drain(..length).collect())
    }

    async fn line(&mut self) -> std::io::Result<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line = self.read.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8(line).unwrap_or_default());
            }
            if self.more().await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The body that a head announced.
    pub async fn body(&mut self, message: &mut Message, is_answer: bool) -> std::io::Result<()> {
        if message.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(self.line().await?.trim(), 16).map_err(std::io::Error::other)?;
                let chunk = self.take(size).await?;
                self.line().await?;
                if size == 0 {
                    return Ok(());
                }
                message.body.extend(chunk);
            }
        }
        if let Some(length) = message.header("content-length") {
            let length = length.parse().map_err(std::io::Error::other)?;
            message.body = self.take(length).await?;
        } else if is_answer && message.status() != 204 {
            message.body = self.rest().await;
        }
        Ok(())
    }

    pub async fn message(&mut self, is_answer: bool) -> std::io::Result<Option<Message>> {
        let Some(mut message) = self.head().await? else { return Ok(None) };
        self.body(&mut message, is_answer).await?;
        Ok(Some(message))
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &str) -> std::io::Result<Message> {
        self.send(request).await?;
        self.message(true).await?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }

    pub async fn get(&mut self, path: &str) -> std::io::Result<Message> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n")).await
    }

    pub async fn post(&mut self, path: &str, body: &str) -> std::io::Result<Message> {
        let length = body.len();
        self.ask(&format!("POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {length}\r\n\r\n{body}")).await
    }
}

/// One request on a connection of its own.
pub async fn ask(address: SocketAddr, request: &str) -> Message {
    Wire::to(address).await.ask(request).await.expect("there is an answer")
}

pub async fn get(address: SocketAddr, path: &str) -> Message {
    Wire::to(address).await.get(path).await.expect("there is an answer")
}
