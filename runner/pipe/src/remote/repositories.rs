//! `pipe repo`: the repositories of a server, running or not. A secret is shown once, when it was made.

use std::fmt::Write as _;
use std::path::Path;

use axum::http::Method;
use serde_json::{Value as Json, json};
use workflow::event::Forge;
use workflow::secret::Secret;

use super::client::{Client, query};
use super::connect::connect;
use super::{print, shown};
use crate::args::{BadgesForName, Connect, Global, RepoAddArgs, RepoBadgesArgs, RepoCommand, RepoOneArgs};
use crate::exit::{Exit, Failure};
use crate::secret_file::read_secret;
use crate::table;
use crate::terminal::{self, Terminal};

pub(super) async fn run(command: RepoCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        RepoCommand::Add(args) => add(&args, global).await,
        RepoCommand::Ls(args) => list(&args.connect, global).await,
        RepoCommand::Show(args) => {
            let (_, found) = one(&args).await?;
            let found = with_address(found, &args.public_url);
            print(args.connect.json, &found, |found| told(found, ""))
        }
        RepoCommand::Rm(args) => {
            let (client, found) = one(&args).await?;
            let which = query(&[("name", found["full_name"].as_str()), ("forge", found["forge"].as_str())]);
            let value = client.json(Method::DELETE, &format!("/repositories{which}"), None).await?;
            print(args.connect.json, &value, |value| {
                let (name, forge) = (shown(&value["removed"]), shown(&value["forge"]));
                format!("removed {name} ({forge}); remove its hook at the forge too\n")
            })
        }
        RepoCommand::Badges(args) => badges(&args).await,
    }
}

async fn badges(args: &RepoBadgesArgs) -> Result<Exit, Failure> {
    let client = server(&args.connect).await?;
    let (who, meant) = match args.who {
        BadgesForName::People => ("people", "who is signed in and may see the repository"),
        BadgesForName::Token => ("token", "whoever has the address"),
        BadgesForName::Everybody => ("everybody", "everybody"),
    };
    let wish = json!({ "name": args.name, "for": who });
    let value = client.json(Method::PUT, "/repositories/badges", Some(&wish)).await?;
    print(args.connect.json, &value, |value| {
        let path = shown(&value["path"]);
        let once = if value["token"].is_string() { " (shown this once)" } else { "" };
        format!("badges of {} are for {meant}: {path}{once}\n", shown(&value["name"]))
    })
}

/// Repositories belong to a server; what `pipe run` left on this machine has none.
async fn server(to: &Connect) -> Result<Client, Failure> {
    if to.server.is_none() && to.data.is_none() {
        let message = "which server's repositories?";
        return Err(Failure::usage(message).help("give --data DIR of one on this machine, or --server URL"));
    }
    connect(to).await
}

async fn add(args: &RepoAddArgs, global: &Global) -> Result<Exit, Failure> {
    let written = Path::new(&args.url);
    // A folder here may be named as the shell does.
    let url = match written.canonicalize() {
        Ok(path) if !args.url.contains("://") => path.display().to_string(),
        Ok(_) | Err(_) => args.url.clone(),
    };
    let secret = args.secret_file.as_deref().map(|path| read_secret(path, "secret")).transpose()?;
    let token = args.fetch_token_file.as_deref().map(|path| read_secret(path, "token")).transpose()?;
    let mut wish = json!({ "url": url, "offline": args.offline });
    let fields = [
        ("name", args.name.as_deref()),
        ("forge", args.forge.map(|forge| Forge::from(forge).as_str())),
        ("secret", secret.as_ref().map(Secret::expose)),
        ("token", token.as_ref().map(Secret::expose)),
        ("token_user", args.fetch_user.as_deref()),
    ];
    for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        wish[name] = value.into();
    }
    if let Some(folder) = &args.connect.data {
        make(folder)?;
    }
    let client = server(&args.connect).await?;
    let value = client.json(Method::POST, "/repositories", Some(&wish)).await?;
    let value = with_address(value, &args.public_url);
    let exit = print(args.connect.json, &value, |value| {
        told(value, if value["known"] == true { "changed" } else { "registered" })
    })?;
    if value["warning"].is_string() {
        terminal::warning(Terminal::stderr(global.color), &shown(&value["warning"]));
    }
    Ok(exit)
}

/// The folder of a server that is to be: the first thing it gets is a repository.
fn make(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(folder);
    made.map_err(|error| Failure::environment(format!("cannot use `{}`: {error}", folder.display())))
}

async fn list(to: &Connect, global: &Global) -> Result<Exit, Failure> {
    let value = server(to).await?.get("/repositories").await?;
    let terminal = Terminal::stdout(global.color);
    print(to.json, &value["repositories"], |all| {
        let row = |one: &Json| ["full_name", "forge", "url"].map(|field| shown(&one[field])).to_vec();
        let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
        table::render(&["REPOSITORY", "FORGE", "FETCHED FROM"], &rows, terminal)
    })
}

/// The one that is meant.
async fn one(args: &RepoOneArgs) -> Result<(Client, Json), Failure> {
    let client = server(&args.connect).await?;
    let all = client.get("/repositories").await?["repositories"].take();
    let all = all.as_array().map_or(&[][..], Vec::as_slice);
    let name = |one: &Json| shown(&one["full_name"]);
    let forge = args.forge.map(|forge| Forge::from(forge).as_str());
    let same =
        |one: &&Json| name(one).eq_ignore_ascii_case(&args.name) && forge.is_none_or(|forge| one["forge"] == forge);
    let found: Vec<&Json> = all.iter().filter(same).collect();
    match found.as_slice() {
        [one] => Ok((client, (*one).clone())),
        [] => {
            let names: Vec<_> = all.iter().map(name).collect();
            let near = workflow::diagnostic::suggest(&args.name, names.iter().map(String::as_str));
            let near = near.map(|near| format!("did you mean `{near}`?"));
            Err(Failure::new(Exit::Nothing, format!("`{}` is not registered", args.name)).maybe_help(near))
        }
        several => {
            let forges: Vec<_> = several.iter().map(|one| shown(&one["forge"])).collect();
            let message = format!("`{}` is registered on several forges: {}", args.name, forges.join(", "));
            Err(Failure::usage(message).help("add --forge"))
        }
    }
}

fn with_address(mut repository: Json, public_url: &str) -> Json {
    let path = shown(&repository["webhook_path"]);
    repository["webhook_url"] = format!("{}{path}", public_url.trim_end_matches('/')).into();
    repository
}

/// With what to enter at the forge.
fn told(repository: &Json, done: &str) -> String {
    let field = |name: &str| shown(&repository[name]);
    let (name, forge) = (field("full_name"), field("forge"));
    let done = if done.is_empty() { String::new() } else { format!("{done} ") };
    let mut text = format!("{done}{name} ({forge}), fetched from {}\n\nEnter at the forge:\n", field("url"));
    let enter = repository["enter"].as_array().into_iter().flatten();
    let enter = enter.map(|pair| (shown(&pair[0]), shown(&pair[1])));
    let secret = match repository["secret"].as_str() {
        Some(made) => format!("{made} (shown this once)"),
        None => "as it was given; it is not shown again".to_owned(),
    };
    let first = ("Payload URL".to_owned(), field("webhook_url"));
    for (name, value) in std::iter::once(first).chain(enter).chain([("Secret".to_owned(), secret)]) {
        let _cannot_fail = writeln!(text, "  {name:18} {value}");
    }
    if forge == Forge::Push.as_str() {
        let server = field("webhook_url");
        let server = server.strip_suffix(&field("webhook_path")).unwrap_or(&server);
        let command = "pipe hook install REPOSITORY.git --secret-file FILE --server";
        let _cannot_fail = writeln!(text, "\n  {command} {server} --repository {name}");
    }
    text
}
