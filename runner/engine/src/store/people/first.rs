//! The first administrator: let in by a code that only who sees the server's output knows.
//!
//! The code has 256 random bits, is kept nowhere, and ends with the process or with the first user.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use workflow::secret::Secret;

use crate::sealing;
use crate::store::audit::hexadecimal;

/// The code, as long as it holds. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct FirstCode(Arc<Mutex<Option<[u8; 32]>>>);

impl FirstCode {
    /// Makes a code, which is shown this once; one before it holds no more.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn offer(&self) -> std::io::Result<Secret> {
        let code = Secret::new(hexadecimal(&sealing::random::<32>()?));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest(code.expose()));
        Ok(code)
    }

    /// Whether this is the code.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        let kept = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.is_some_and(|kept| bool::from(kept.ct_eq(&digest(presented))))
    }

    /// Whether there is a code.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The code was used.
    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn digest(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_holds_until_it_is_used() {
        let first = FirstCode::default();
        assert!(!first.is_open() && !first.is(""));
        let code = first.offer().unwrap();
        assert_eq!(code.expose().len(), 64);
        assert!(first.is(code.expose()) && !first.is(&code.expose()[1..]) && !first.is(""));
        let other = first.offer().unwrap();
        assert!(first.is(other.expose()) && !first.is(code.expose()));
        first.close();
        assert!(!first.is(other.expose()) && !first.is_open());
    }
}
