//! `pipe/notify`: a step tells people what happened, by Slack, Teams, Discord, JSON to a hook, a topic of SNS, or mail.
//!
//! Channels of the server (`[notify.NAME]`, docs/notifications.md) tell of every run without a step; this is for what a workflow
//! alone knows. It waits for what it sends, tries again a few times, and fails the step only where that is asked for: that Slack
//! is down is no reason for a deployment to have failed. Texts are masked; addresses are secrets and not shown.

mod inputs;
mod place;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use engine::notify::{Announcement, Occasion, RunToldOf, Unsent};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use jiff::Timestamp;

pub use self::inputs::{INPUTS, OUTPUTS};

use self::inputs::Wanted;
use self::place::Place;
use super::plan_hash;

/// Pauses before further attempts.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];
/// The longest that the other side can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notify;

#[async_trait]
impl BuiltInAction for Notify {
    fn name(&self) -> &'static str {
        "pipe/notify"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        hide(call);
        let wanted = Wanted::of(call).map_err(ActionError::Failed)?;
        let announcement = announcement(call, &wanted);
        let previews: Vec<_> = wanted.places.iter().map(|(_, place)| place.preview(&announcement)).collect();
        // Not when: the same told to the same is the same.
        let undated = Announcement { at: Timestamp::UNIX_EPOCH, ..announcement.clone() };
        let undated: Vec<_> =
            wanted.places.iter().map(|(name, place)| (*name, place.name(), place.preview(&undated))).collect();
        call.outputs.insert("plan-hash".into(), plan_hash(&serde_json::json!(undated)));
        call.outputs.insert("occasion".into(), wanted.occasion.map_or("", Occasion::as_str).to_owned());
        call.outputs.insert("sent".into(), "0".into());
        if let Some(occasion) = wanted.occasion.filter(|occasion| !wanted.on.contains(occasion)) {
            let on: Vec<_> = wanted.on.iter().map(|occasion| occasion.as_str()).collect();
            call.log.line(&format!("Nobody is told of {}: `on` has {}", occasion.as_str(), on.join(", "))).await;
            return Ok(());
        }
        if wanted.dry_run {
            for ((name, place), preview) in wanted.places.iter().zip(previews) {
                call.log.line(&format!("Dry run: this would go to {name} ({}):\n{preview}", place.name())).await;
            }
            return Ok(());
        }
        tell_all(call, &wanted, &announcement).await
    }
}

async fn tell_all(call: &mut ActionCall<'_>, wanted: &Wanted, announcement: &Announcement) -> Result<(), ActionError> {
    let (mut sent, mut problems) = (0_usize, Vec::new());
    for (name, place) in &wanted.places {
        let whole = format!("{name} ({})", place.name());
        // The same when the step is done again after a crash: whoever counts deliveries sees one.
        let id = call.run.id.0.wrapping_mul(1 << 20).wrapping_add(call.step);
        let told = tokio::select! {
            told = tell(place, announcement, id, wanted.thread.as_deref()) => told,
            () = call.cancel.cancelled() => return Err(ActionError::Cancelled),
        };
        match told {
            Ok(()) => {
                sent += 1;
                call.log.line(&format!("Told {whole}")).await;
            }
            Err(unsent) => {
                call.log.warning(&format!("{whole} was not told: {}", unsent.problem)).await;
                problems.push(format!("{whole}: {}", unsent.problem));
            }
        }
    }
    call.outputs.insert("sent".into(), sent.to_string());
    if wanted.required && !problems.is_empty() {
        return Err(ActionError::Failed(format!("not everybody was told: {}", problems.join("; "))));
    }
    Ok(())
}

async fn tell(place: &Place, announcement: &Announcement, id: u64, thread: Option<&str>) -> Result<(), Unsent> {
    for pause in PAUSES {
        match place.send(announcement, id, thread).await {
            Err(unsent) if unsent.is_for_now => {
                tokio::time::sleep(unsent.after.unwrap_or(pause).min(PAUSE_MAX)).await;
            }
            told => return told,
        }
    }
    place.send(announcement, id, thread).await
}

/// What must not be shown, whether or not it came out of a secret.
fn hide(call: &ActionCall<'_>) {
    for name in ["slack-webhook", "teams-webhook", "discord-webhook", "webhook", "webhook-secret", "mail-password"] {
        let value = call.inputs.get(name).map_or("", |value| value.trim());
        let _too_short_to_be_hidden = call.masker.add(value);
    }
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        let value = call.env.get(name).map_or("", |value| value.trim());
        let _too_short_to_be_hidden = call.masker.add(value);
    }
}

fn announcement(call: &ActionCall<'_>, wanted: &Wanted) -> Announcement {
    let masked = |text: &str| call.masker.mask(text);
    let variable = |name: &str| call.env.get(name).cloned().unwrap_or_default();
    let branch = call.run.git_ref.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/").to_owned();
    let named = variable("GITHUB_WORKFLOW");
    let workflow = if named.is_empty() { call.run.workflow.clone() } else { named };
    let run = RunToldOf {
        id: call.run.id.0,
        number: variable("GITHUB_RUN_NUMBER").parse().unwrap_or(call.run.id.0),
        attempt: variable("GITHUB_RUN_ATTEMPT").parse().unwrap_or(1),
        repository: call.repository.name.clone(),
        commit: call.run.sha.clone(),
        git_ref: call.run.git_ref.clone(),
        branch: masked(&branch),
        workflow: masked(&workflow),
        trigger: call.run.event.clone(),
        actor: masked(&call.run.actor),
        ..RunToldOf::default()
    };
    let state = wanted.occasion.map_or("", Occasion::state).to_owned();
    let has_title = !wanted.title.is_empty();
    let own = masked(&wanted.message);
    let mut lines: Vec<String> = own.lines().map(str::to_owned).collect();
    if has_title {
        let of = format!("{} #{} on {} ({})", run.workflow, run.number, run.branch, run.repository);
        lines.push(of);
    }
    Announcement {
        event: wanted.occasion.map_or("message", Occasion::event).to_owned(),
        at: Timestamp::now(),
        state: if state.is_empty() { "says something".to_owned() } else { state },
        environment: call.run.environment.clone(),
        run: (!has_title).then_some(run),
        review: None,
        deployment: None,
        gathered: None,
        title: has_title.then(|| masked(&wanted.title)),
        lines,
        url: wanted.url.as_deref().map(masked),
    }
}
