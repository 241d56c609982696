//! A future within a task that wakes itself without waking the task.
//!
//! A request and its connection to a backend talk over channels, and each word wakes the task that is just running: it
//! would be scheduled again, and everything above it polled again, once for each word. Woken while it is polled, a nested
//! future is polled again at once instead; only what wakes it in between wakes the task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Polls in a row before the task gets its turn again.
const TURNS_MAX: usize = 8;

/// Between a task and what is nested in it.
#[derive(Debug)]
pub(crate) struct Nested {
    state: Arc<State>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    task: AtomicWaker,
    is_polling: AtomicBool,
    is_woken: AtomicBool,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        if !self.is_polling.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl Nested {
    pub(crate) fn new() -> Self {
        let state = Arc::new(State::default());
        Self { waker: Waker::from(Arc::clone(&state)), state }
    }

    /// Polls until it is ready, or nothing has woken it meanwhile.
    pub(crate) fn poll<T>(
        &self,
        context: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.state.task.register(context.waker());
        self.state.is_polling.store(true, Ordering::SeqCst);
        let mut nested = Context::from_waker(&self.waker);
        let mut polled = Poll::Pending;
        for _ in 0..TURNS_MAX {
            self.state.is_woken.store(false, Ordering::SeqCst);
            polled = poll(&mut nested);
            if polled.is_ready() || !self.state.is_woken.load(Ordering::SeqCst) {
                break;
            }
        }
        self.state.is_polling.store(false, Ordering::SeqCst);
        // Another thread may have woken it between the last look and now; or it has had its turns.
        if polled.is_pending() && self.state.is_woken.load(Ordering::SeqCst) {
            context.waker().wake_by_ref();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn only_what_comes_from_outside_wakes_the_task() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&task);
        let nested = Nested::new();
        let (mut turns, mut inner) = (0, None);
        let polled = nested.poll(&mut context, |context| {
            turns += 1;
            inner = Some(context.waker().clone());
            if turns < 3 {
                context.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert_eq!((polled, turns, count.0.load(Ordering::SeqCst)), (Poll::Pending, 3, 0));
        inner.unwrap().wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        // One that never rests gives the task its turn.
        let _pending = nested.poll(&mut context, |context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }
}
