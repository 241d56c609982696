//! `pipe repo`: the repositories of a server, in its data folder. The rules are [`engine::registration`]'s.

mod show;
mod store;

use std::io::Read as _;
use std::path::Path;

use engine::mirror::{MirrorError, Origin, RemoteUrl};
use engine::registration::{Registration, RegistrationError, guess_forge};
use engine::store::repositories::Repository;
use jiff::Timestamp;
use workflow::event::Forge;
use workflow::secret::Secret;

use crate::args::{Global, RepoAddArgs, RepoArgs, RepoCommand, RepoListArgs, RepoOneArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

use store::Store;

/// Longest secret or token that is read from a file.
const SECRET_BYTES_MAX: u64 = 64 * 1_024;

/// Runs the command.
///
/// # Errors
/// It cannot be done.
pub fn run(args: &RepoArgs, global: &Global) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        match &args.command {
            RepoCommand::Add(args) => add(args, global).await,
            RepoCommand::Ls(args) => list(args, global).await,
            RepoCommand::Show(args) => show(args).await,
            RepoCommand::Rm(args) => remove(args).await,
        }
    })
}

async fn add(args: &RepoAddArgs, global: &Global) -> Result<Exit, Failure> {
    let written = Path::new(&args.url);
    // A folder here may be named as the shell does.
    let text = match written.canonicalize() {
        Ok(path) if !args.url.contains("://") => path.display().to_string(),
        Ok(_) | Err(_) => args.url.clone(),
    };
    let url = RemoteUrl::parse(&text)
        .map_err(|error| Failure::usage(format!("`{}` cannot be used: {error}", shown(&args.url))))?;
    let forge = args.forge.map(Forge::from).or_else(|| guess_forge(&url)).ok_or_else(|| {
        Failure::usage(format!("nobody can tell what kind of forge {url} is"))
            .help("add --forge github, gitea, forgejo, gitlab, or push for a plain repository with our own hook")
    })?;
    let full_name = args.name.clone().or_else(|| url.full_name()).ok_or_else(|| {
        Failure::usage(format!("{url} does not tell the name of the repository")).help("add --name owner/name")
    })?;
    let secret = args.secret_file.as_deref().map(|path| read_secret(path, "secret")).transpose()?;
    let token = args.token_file.as_deref().map(|path| read_secret(path, "token")).transpose()?;
    let store = Store::open(&args.data.data).await?;
    let new = Registration {
        forge,
        full_name: full_name.clone(),
        url: url.clone(),
        secret: secret.clone(),
        fetch: token.map(|token| (args.token_user.clone(), token)),
        by: store::person(),
    };
    let registered = store.registrar.add(new, Timestamp::now()).await.map_err(|error| refused(&error))?;
    let warning = if args.offline { None } else { reach(&store, registered.id, url).await };
    let found = store.one(&full_name, Some(forge)).await?;
    let repository = show::Shown { repository: &found, public_url: &args.public_url, made: registered.made.as_ref() };
    repository.print(args.data.json, if registered.known { "changed" } else { "registered" })?;
    if let Some(warning) = warning {
        terminal::warning(Terminal::stderr(global.color), &warning);
    }
    store.close().await;
    Ok(Exit::Success)
}

/// Why it cannot be fetched now, if so. It is registered all the same: an empty one will have its first push.
async fn reach(store: &Store, id: u64, url: RemoteUrl) -> Option<String> {
    let mirrors = store.mirrors().ok()?;
    match mirrors.ask(&Origin { id, url }).await {
        Ok(_) => None,
        Err(MirrorError::Empty) => Some("the repository has no commit yet: the first push will be built".to_owned()),
        Err(error) => Some(format!("{error}; pushes fail until that is mended")),
    }
}

fn refused(error: &RegistrationError) -> Failure {
    match error {
        RegistrationError::Name(_) | RegistrationError::ShortSecret(_) | RegistrationError::TokenNeedsHttps(_) => {
            Failure::usage(error.to_string())
        }
        RegistrationError::Random(_) | RegistrationError::Sealed(_) | RegistrationError::Store(_) => {
            Failure::environment(error.to_string())
        }
    }
}

/// A secret of a file, without the line break at its end. Never an argument: those are in everybody's list of processes.
pub fn read_secret(path: &Path, what: &str) -> Result<Secret, Failure> {
    let cannot =
        |error: std::io::Error| Failure::usage(format!("cannot read the {what} from `{}`: {error}", path.display()));
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(cannot)?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
            .map_err(cannot)?;
    }
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(Failure::usage(format!("the {what} in `{}` is empty", path.display())));
    }
    Ok(Secret::new(text))
}

async fn list(args: &RepoListArgs, global: &Global) -> Result<Exit, Failure> {
    let store = Store::open(&args.data.data).await?;
    let all = store.all().await?;
    show::list(&all, args.data.json, Terminal::stdout(global.color))?;
    store.close().await;
    Ok(Exit::Success)
}

async fn show(args: &RepoOneArgs) -> Result<Exit, Failure> {
    let store = Store::open(&args.data.data).await?;
    let found: Repository = store.one(&args.name, args.forge.map(Forge::from)).await?;
    show::Shown { repository: &found, public_url: &args.public_url, made: None }.print(args.data.json, "")?;
    store.close().await;
    Ok(Exit::Success)
}

async fn remove(args: &RepoOneArgs) -> Result<Exit, Failure> {
    let store = Store::open(&args.data.data).await?;
    let found = store.one(&args.name, args.forge.map(Forge::from)).await?;
    store.remove(&found).await?;
    show::Shown { repository: &found, public_url: &args.public_url, made: None }.print_removed(args.data.json)?;
    store.close().await;
    Ok(Exit::Success)
}

/// A URL without a password that somebody wrote into it.
fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        (_, _) => url.to_owned(),
    }
}
