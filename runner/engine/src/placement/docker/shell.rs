//! A shell in the container of a job whose place is kept: for a person, so it is a command of the engine and none of the
//! agent, which keeps to itself what belongs to steps.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::DockerPlacement;
use super::connection::refused;
use crate::local::Inside;
use crate::placement::PlacementError;

/// The best shell that an image has.
const SHELL: &str = "command -v bash > /dev/null 2>&1 && exec bash; exec sh";

/// What a shell is joined to.
pub struct ShellEnds<I, O> {
    /// What is typed.
    pub input: I,
    /// What it says.
    pub output: O,
    /// Columns and rows of the terminal, and each change of them; `None`: there is no terminal.
    pub sizes: Option<mpsc::UnboundedReceiver<(u16, u16)>>,
}

impl<I, O> std::fmt::Debug for ShellEnds<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShellEnds").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

impl DockerPlacement {
    /// Opens a shell in a container, with the environment of its job's steps, and gives its exit code.
    ///
    /// # Errors
    /// The container is gone, or has no shell.
    pub async fn shell<I, O>(
        &self,
        container: &str,
        inside: &Inside,
        ends: ShellEnds<I, O>,
    ) -> Result<i64, PlacementError>
    where
        I: AsyncRead + Unpin + Send + 'static,
        O: AsyncWrite + Unpin,
    {
        let docker = &self.connection.docker;
        let ShellEnds { mut input, output: mut shown, mut sizes } = ends;
        let tty = sizes.is_some();
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(tty),
            env: Some(inside.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), SHELL.to_owned()]),
            working_dir: Some(inside.cwd.clone()),
            user: inside.user.clone(),
            ..CreateExecOptions::<String>::default()
        };
        let exec = docker.create_exec(container, options).await.map_err(refused("open a shell"))?.id;
        let start = StartExecOptions { detach: false, tty, output_capacity: None };
        let started = docker.start_exec(&exec, Some(start)).await.map_err(refused("open a shell"))?;
        let StartExecResults::Attached { mut output, input: mut typed } = started else { return Ok(0) };
        let typing = tokio::spawn(async move {
            let _gone = tokio::io::copy(&mut input, &mut typed).await;
            let _gone = typed.shutdown().await;
        });
        loop {
            tokio::select! {
                said = output.next() => match said {
                    Some(Ok(said)) => {
                        let (LogOutput::StdOut { message }
                        | LogOutput::StdErr { message }
                        | LogOutput::StdIn { message }
                        | LogOutput::Console { message }) = said;
                        if shown.write_all(&message).await.is_err() || shown.flush().await.is_err() {
                            break;
                        }
                    }
                    Some(Err(error)) => return Err(refused("read from a shell")(error)),
                    None => break,
                },
                Some((width, height)) = next(&mut sizes) => {
                    // One that has just ended has no size.
                    let _ended = docker.resize_exec(&exec, ResizeExecOptions { height, width }).await;
                }
            }
        }
        typing.abort();
        let ended = docker.inspect_exec(&exec).await.map_err(refused("ask how a shell ended"))?;
        Ok(ended.exit_code.unwrap_or_default())
    }
}

async fn next(sizes: &mut Option<mpsc::UnboundedReceiver<(u16, u16)>>) -> Option<(u16, u16)> {
    match sizes {
        Some(sizes) => sizes.recv().await,
        None => std::future::pending().await,
    }
}
