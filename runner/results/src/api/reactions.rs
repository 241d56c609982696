//! Reactions to issues and comments: <https://docs.github.com/en/rest/reactions/reactions>.

use hyper::Method;
use serde_json::{Value as Json, json};

use super::ask::{Ask, Refusal, Reply};
use super::issues::speaker;
use super::told::{Reaction, Said, Subject, Told};
use crate::job::Job;

/// What a reaction may be.
const CONTENTS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

/// `…/reactions` of a subject that is known to be there.
pub(super) fn answer(job: &Job, ask: &Ask, to: Subject, rest: &[&str]) -> Result<Reply, Refusal> {
    match (&ask.method, rest) {
        (&Method::GET, []) => {
            let told = Told::read(job)?;
            let content = ask.query("content");
            let of =
                told.reactions.iter().filter(|(_, one)| one.to == to && content.is_none_or(|it| one.content == it));
            Ok(Reply::page(of.map(|(id, reaction)| shown(*id, reaction)), ask))
        }
        (&Method::POST, []) => {
            let content = ask.need("content")?;
            if !CONTENTS.contains(&content) {
                let contents = CONTENTS.join(", ");
                return Err(Refusal::invalid(format!("Validation Failed: content is not one of {contents}")));
            }
            // Nobody reacts twice in the same way.
            let told = Told::read(job)?;
            if let Some((id, reaction)) = told.reactions.iter().find(|(_, one)| one.to == to && one.content == content)
            {
                return Ok(Reply::json(shown(*id, reaction)));
            }
            let (id, told) = Told::say(job, |_| Ok(Said::Reaction { to, content: content.to_owned() }))?;
            told.reactions.get(&id).map(|made| Reply::created(shown(id, made))).ok_or_else(Refusal::not_found)
        }
        (&Method::DELETE, [id]) => {
            let reaction = id.parse().map_err(|_| Refusal::not_found())?;
            Told::say(job, |told| match told.reactions.get(&reaction) {
                Some(found) if found.to == to => Ok(Said::ReactionRemoved { reaction }),
                Some(_) | None => Err(Refusal::not_found()),
            })?;
            Ok(Reply::nothing())
        }
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

fn shown(id: u64, reaction: &Reaction) -> Json {
    json!({
        "id": id, "node_id": "", "user": speaker(), "content": reaction.content, "created_at": reaction.made,
    })
}
