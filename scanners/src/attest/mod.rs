//! Signed statements about an image: what is in it and how it was built, kept beside it in the registry.
//!
//! A [`Statement`] of in-toto is put into a signed [`Envelope`] (DSSE) with a key that the user keeps, and [`attach`]
//! writes it as an artifact that refers to the image: under the tag that cosign looks for, and as a referrer of OCI 1.1.
//! `cosign verify-attestation --key` reads both. Nothing here speaks to a registry; it is a port. Transparency logs are
//! not used, since a log of others would name what is private here.

mod envelope;
mod find;
mod key;
mod layout;
mod oci;
mod provenance;
mod statement;
#[cfg(test)]
mod tests;

pub use envelope::{Envelope, EnvelopeError, Signature};
pub use find::{Found, Source, find};
pub use key::{KeyError, PublicKey, SigningKey};
pub use layout::{Layout, LayoutError};
pub use oci::{AttachError, Attached, Blob, Descriptor, Kept, Manifest, Registry, attach};
pub use provenance::{Dependency, Provenance};
pub use statement::{CYCLONEDX, PROVENANCE, SPDX, Statement, Subject};
