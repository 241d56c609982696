//! Questions on the terminal: asked one after another, and no more where somebody has answered elsewhere.
//!
//! One thread shows and reads. It waits until a line is there and reads only then, and only for the question that is shown: what is
//! typed later is for whoever reads the terminal next, which may be a shell.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, tcflush};

use super::ask;

/// What a question is about: a run, and one of its environments.
pub type About = (u64, String);

type Show = Box<dyn FnOnce() + Send>;
type Answer = Box<dyn FnOnce(bool) + Send>;

struct Question {
    about: About,
    /// `None`: it was shown.
    show: Option<Show>,
    answer: Answer,
}

/// Those that are not answered.
#[derive(Clone, Default)]
pub struct Questions(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Question>,
    /// Tells the thread that something has changed; `None`: there is none.
    changed: Option<UnixStream>,
}

impl std::fmt::Debug for Questions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Questions").field("waiting", &self.state().waiting.len()).finish_non_exhaustive()
    }
}

impl Questions {
    /// Asks, after what was asked before; the same is asked only once. `show` is called when it is its turn, and `answer` when a
    /// person says yes or no. Neither is called on this thread, nor while anything is locked here.
    ///
    /// # Errors
    /// There is no thread to ask.
    pub fn ask(
        &self,
        about: About,
        show: impl FnOnce() + Send + 'static,
        answer: impl FnOnce(bool) + Send + 'static,
    ) -> io::Result<()> {
        let mut state = self.state();
        if state.waiting.iter().any(|other| other.about == about) {
            return Ok(());
        }
        if state.changed.is_none() {
            let (changed, changes) = UnixStream::pair()?;
            changes.set_nonblocking(true)?;
            let this = self.clone();
            std::thread::Builder::new().name("questions".to_owned()).spawn(move || this.read(changes))?;
            state.changed = Some(changed);
        }
        state.waiting.push_back(Question { about, show: Some(Box::new(show)), answer: Box::new(answer) });
        state.tell();
        Ok(())
    }

    /// Asks no more what nobody needs to know.
    pub fn withdraw(&self, is_over: impl Fn(&About) -> bool) {
        let mut state = self.state();
        state.waiting.retain(|question| !is_over(&question.about));
        state.tell();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose turn it is; and how to show it, the first time.
    fn turn(&self) -> Option<(About, Option<Show>)> {
        self.state().waiting.front_mut().map(|question| (question.about.clone(), question.show.take()))
    }

    /// The answer to a question, unless it is no longer asked.
    fn take(&self, about: &About) -> Option<Answer> {
        let is_asked = |question: &mut Question| question.about == *about && question.show.is_none();
        self.state().waiting.pop_front_if(is_asked).map(|question| question.answer)
    }

    /// Shows and reads for as long as the process lives.
    fn read(&self, mut changes: UnixStream) {
        let input = io::stdin();
        loop {
            let mut turn = self.turn();
            if let Some(show) = turn.as_mut().and_then(|(_, show)| show.take()) {
                // What was typed before is no answer to it.
                let _no_terminal = tcflush(&input, FlushArg::TCIFLUSH);
                show();
            }
            let mut wanted = vec![PollFd::new(changes.as_fd(), PollFlags::POLLIN)];
            wanted.extend(turn.iter().map(|_| PollFd::new(input.as_fd(), PollFlags::POLLIN)));
            match poll(&mut wanted, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                Err(_) => return,
                Ok(_) => {}
            }
            let is_changed = wanted[0].any().unwrap_or_default();
            if is_changed {
                let _nothing_more = changes.read(&mut [0; 64]);
            } else if let Some((about, _)) = turn {
                let approved = ask::yes();
                if let Some(answer) = self.take(&about) {
                    answer(approved);
                }
            }
        }
    }
}

impl State {
    fn tell(&mut self) {
        // One that is full tells as well.
        let _told = self.changed.as_mut().map(|changed| changed.write(&[0]));
    }
}
