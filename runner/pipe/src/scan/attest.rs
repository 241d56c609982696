//! `pipe scan attest`, `verify` and `key`: signed statements about an image in a registry, such as what is in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use engine::image::stored_login;
use engine::outbound::{Asker, Proxies};
use pipelines::registry::{Login, Reference, RegistryError, Remote};
use scanners::attest::{
    AttachError, CYCLONEDX, Envelope, PROVENANCE, PublicKey, SPDX, SigningKey, Statement, attach, find,
};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::args::{ScanAttestArgs, ScanKeyArgs, ScanVerifyArgs};
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Longest document that is attached.
const DOCUMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Makes a key.
pub(super) fn key(args: &ScanKeyArgs) -> Result<Exit, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::environment(format!("cannot make a key: {error}"));
    let key = SigningKey::generate().map_err(|error| failed(&error))?;
    key.write(&args.file).map_err(|error| failed(&error))?;
    let mut output = terminal::results();
    output.write_all(key.public().to_pem().as_bytes())?;
    output.flush()?;
    Ok(Exit::Success)
}

/// Signs documents and attaches them.
pub(super) fn attach_all(args: &ScanAttestArgs) -> Result<Exit, Failure> {
    let key = SigningKey::read(&args.key).map_err(|error| Failure::usage(format!("cannot use the key: {error}")))?;
    let documents = args.documents.iter().map(|path| document(path)).collect::<Result<Vec<_>, _>>()?;
    let (runtime, name) = (runtime()?, reference(&args.image)?);
    let mut registry = remote(&runtime, &name)?;
    let image = registry.descriptor(&name.reference).map_err(|error| of_registry(&error))?;
    let sign = |(kind, predicate): &(&str, Json)| {
        let statement = Statement::about_image(&name.name(), &image.digest, kind, predicate.clone());
        Envelope::sign(&statement, &key).map_err(|error| Failure::environment(format!("cannot sign: {error}")))
    };
    let envelopes = documents.iter().map(sign).collect::<Result<Vec<_>, _>>()?;
    let attached = attach(&mut registry, &image, &envelopes, &key.public()).map_err(|error| match error {
        AttachError::Registry(error) => of_registry(&error),
        error @ AttachError::Existing { .. } => Failure::environment(error.to_string()),
    })?;
    let mut output = terminal::results();
    if args.json {
        let referrers = &attached.referrers;
        writeln!(output, "{:#}", json!({ "image": image.digest, "tag": attached.tag, "referrers": referrers }))?;
    } else {
        for ((kind, _), digest) in documents.iter().zip(&attached.referrers) {
            writeln!(output, "{kind} is attached to {}@{} as {digest}", name.name(), image.digest)?;
        }
    }
    output.flush()?;
    Ok(Exit::Success)
}

/// Tells which statements about an image a key has signed.
pub(super) fn verify(args: &ScanVerifyArgs) -> Result<Exit, Failure> {
    let wrong = |reason: String| Failure::usage(format!("cannot use the key `{}`: {reason}", args.key.display()));
    let text = std::fs::read_to_string(&args.key).map_err(|error| wrong(error.to_string()))?;
    let key = PublicKey::from_pem(&text).map_err(|error| wrong(error.to_string()))?;
    let (runtime, name) = (runtime()?, reference(&args.image)?);
    let mut registry = remote(&runtime, &name)?;
    let image = registry.descriptor(&name.reference).map_err(|error| of_registry(&error))?.digest;
    let mut found = find(&mut registry, &image, &key).map_err(|error| of_registry(&error))?;
    if let Some(wanted) = &args.kind {
        let wanted = full(wanted);
        found.statements.retain(|one| one.predicate_type == wanted);
    }
    let mut output = terminal::results();
    if args.json {
        writeln!(output, "{:#}", json!({ "image": image, "statements": found.statements, "others": found.others }))?;
    } else {
        for one in &found.statements {
            writeln!(output, "{} is signed by this key", one.predicate_type)?;
        }
        if found.others > 0 {
            writeln!(output, "{} are not: of other keys, about something else, or damaged", found.others)?;
        }
        if found.statements.is_empty() {
            writeln!(output, "nothing about {}@{image} is signed by this key", name.name())?;
        }
    }
    output.flush()?;
    Ok(if found.statements.is_empty() { Exit::Failure } else { Exit::Success })
}

fn reference(text: &str) -> Result<Reference, Failure> {
    Reference::parse(text).map_err(|error| Failure::usage(error.to_string()))
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| Failure::environment(format!("cannot start: {error}")))
}

/// The image's repository, with what `docker login` kept for its host.
fn remote(runtime: &Runtime, name: &Reference) -> Result<Remote, Failure> {
    let cannot = |error: &dyn std::fmt::Display| Failure::environment(format!("cannot {error}"));
    let proxies = Proxies::from_environment(&terminal::variable).map_err(|error| cannot(&error))?;
    let asker = Asker::by(proxies).map_err(|error| cannot(&error))?;
    let folder = terminal::variable("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(terminal::variable("HOME")?).join(".docker")));
    let login = match folder {
        Some(folder) => runtime.block_on(stored_login(&folder, &name.host)).map_err(Failure::environment)?,
        None => None,
    };
    let login = login.map(|(user, password)| Login { user, password });
    Ok(Remote::new(asker, runtime.handle().clone(), name, login))
}

fn of_registry(error: &RegistryError) -> Failure {
    Failure::environment(error.to_string())
}

/// A document and the type of statement that it is.
fn document(path: &Path) -> Result<(&'static str, Json), Failure> {
    let wrong = |reason: String| Failure::usage(format!("cannot attach `{}`: {reason}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > DOCUMENT_BYTES_MAX {
        return Err(wrong(format!("it is longer than {DOCUMENT_BYTES_MAX} bytes")));
    }
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let json: Json = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let kind = if json.get("bomFormat").is_some() {
        CYCLONEDX
    } else if json.get("spdxVersion").is_some() {
        SPDX
    } else if json.get("buildDefinition").is_some() {
        PROVENANCE
    } else {
        return Err(wrong(
            "it is neither CycloneDX nor SPDX nor SLSA's provenance; `pipe scan --report` writes the first two".into(),
        ));
    };
    Ok((kind, json))
}

/// The whole name of a type.
fn full(kind: &str) -> &str {
    match kind {
        "cyclonedx" => CYCLONEDX,
        "spdx" => SPDX,
        "provenance" | "slsaprovenance1" => PROVENANCE,
        other => other,
    }
}
