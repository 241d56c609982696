//! Repositories for people and programs. A secret is shown once, when it was made.

use std::io::Write as _;

use engine::registration::forge_fields;
use engine::store::repositories::Repository;
use serde_json::{Value as Json, json};
use workflow::event::Forge;
use workflow::secret::Secret;

use crate::exit::Failure;
use crate::table;
use crate::terminal::{self, Terminal};

/// One repository.
pub struct Shown<'a> {
    /// It.
    pub repository: &'a Repository,
    /// The server as the forge reaches it.
    pub public_url: &'a str,
    /// The secret, if one was made just now.
    pub made: Option<&'a Secret>,
}

impl Shown<'_> {
    /// With what to enter at the forge.
    pub fn print(&self, json: bool, done: &str) -> Result<(), Failure> {
        let mut out = terminal::results();
        if json {
            let mut object = object(self.repository);
            object["webhook_url"] = json!(self.webhook());
            let fields = forge_fields(self.repository.forge);
            object["enter"] = fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            if let Some(secret) = self.made {
                object["secret"] = json!(secret.expose());
            }
            writeln!(out, "{object}")?;
            return Ok(out.flush()?);
        }
        let Repository { forge, full_name, url, .. } = self.repository;
        let done = if done.is_empty() { String::new() } else { format!("{done} ") };
        writeln!(out, "{done}{full_name} ({forge}), fetched from {url}\n")?;
        let mut rows = vec![("Payload URL", self.webhook())];
        rows.extend(forge_fields(*forge).iter().map(|(name, value)| (*name, (*value).to_owned())));
        let secret = self.made.map_or("as it was given; it is not shown again".to_owned(), |made| {
            format!("{} (shown this once)", made.expose())
        });
        rows.push(("Secret", secret));
        writeln!(out, "Enter at the forge:")?;
        for (name, value) in rows {
            writeln!(out, "  {name:18} {value}")?;
        }
        if *forge == Forge::Push {
            let command = "pipe hook install REPOSITORY.git --secret-file FILE --server";
            writeln!(out, "\n  {command} {} --repository {full_name}", self.public_url)?;
        }
        Ok(out.flush()?)
    }

    /// That it is gone.
    pub fn print_removed(&self, json: bool) -> Result<(), Failure> {
        let mut out = terminal::results();
        let Repository { forge, full_name, .. } = self.repository;
        if json {
            writeln!(out, "{}", json!({ "removed": full_name, "forge": forge }))?;
        } else {
            writeln!(out, "removed {full_name} ({forge}); remove its hook at the forge too")?;
        }
        Ok(out.flush()?)
    }

    fn webhook(&self) -> String {
        format!("{}/webhooks/{}", self.public_url.trim_end_matches('/'), self.repository.forge)
    }
}

/// All of them.
pub fn list(all: &[Repository], json: bool, terminal: Terminal) -> Result<(), Failure> {
    let mut out = terminal::results();
    if json {
        writeln!(out, "{}", all.iter().map(object).collect::<Json>())?;
    } else {
        let row = |one: &Repository| vec![one.full_name.clone(), one.forge.to_string(), one.url.clone()];
        let rows: Vec<_> = all.iter().map(row).collect();
        write!(out, "{}", table::render(&["REPOSITORY", "FORGE", "FETCHED FROM"], &rows, terminal))?;
    }
    Ok(out.flush()?)
}

fn object(one: &Repository) -> Json {
    json!({
        "id": one.id, "name": one.full_name, "forge": one.forge, "url": one.url, "token": one.fetch.is_some(),
    })
}
