//! The lines that an engine answers with while it pulls, pushes or builds.

use bollard::errors::Error;
use futures_util::{Stream, StreamExt as _};

/// How tokio's decoders say that a stream ended within a message.
const CUT_OFF: &str = "bytes remaining on stream";

/// All answers, to their end.
///
/// The engine writes a line break behind each. Where the last one comes in a packet of its own, bollard takes it for a message that was cut
/// off, after all of them have arrived. What was cut off for real lacks its result, which whoever asks looks for.
pub fn to_the_end<T>(answers: impl Stream<Item = Result<T, Error>>) -> impl Stream<Item = Result<T, Error>> {
    let is_break = |error: &Error| matches!(error, Error::IOError { err } if err.to_string() == CUT_OFF);
    answers.take_while(move |answer| {
        let goes_on = !answer.as_ref().err().is_some_and(is_break);
        async move { goes_on }
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use bollard::query_parameters::CreateImageOptionsBuilder;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::*;

    /// Answers one request with a line, and with the break behind it when it is told to.
    async fn engine(listener: TcpListener, read: oneshot::Receiver<()>) {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(client.read_u8().await.unwrap());
        }
        let line = r#"{"status":"done"}"#;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.write_all(format!("{head}{:x}\r\n{line}\r\n", line.len()).as_bytes()).await.unwrap();
        read.await.unwrap();
        client.write_all(b"2\r\n\r\n\r\n0\r\n\r\n").await.unwrap();
    }

    #[tokio::test]
    async fn a_line_break_that_comes_late_is_no_message() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let (tell, read) = oneshot::channel();
        let engine = tokio::spawn(engine(listener, read));
        let docker = bollard::Docker::connect_with_http(&address, 60, bollard::API_DEFAULT_VERSION).unwrap();
        let options = CreateImageOptionsBuilder::default().from_image("a").build();
        let mut lines = pin!(to_the_end(docker.create_image(Some(options), None, None)));
        let first = lines.next().await.unwrap().unwrap();
        assert_eq!(first.status.as_deref(), Some("done"));
        tell.send(()).unwrap();
        assert!(lines.next().await.is_none());
        engine.await.unwrap();
    }
}
