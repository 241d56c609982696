//! What a server keeps of a scan: the verdict, what it was made of, and what was found for those who look at it over time.

use engine::step::ActionCall;
use engine::store::cases::{CASE_BYTES_MAX, NewCase};
use engine::store::reports::Reports;
use engine::store::scans::{NewScan, image_name};

use super::inputs::Wish;
use crate::scan::{Place, Scanned, found, said, stamp};

/// Keeps what was said of an image of Docker's, for deployments that ask. Who may not write to the repository says nothing: its
/// policy may be theirs.
pub(super) async fn record(call: &mut ActionCall<'_>, scanned: &Scanned) {
    let (verdict, run) = (&scanned.verdict, &call.run);
    let (Some(image), Some(reports)) = (verdict.image_id.clone(), run.reports.clone()) else { return };
    if !run.keeper.trusted || !scanned.is_of_daemon {
        return;
    }
    let place = place(call);
    let said = said(place.clone(), image.clone(), verdict, None);
    if let Err(error) = reports.verdicts().record(said).await {
        let text = format!("the verdict was not kept, so environments that ask for one will refuse the image: {error}");
        call.log.warning(&text).await;
    }
    // Without packages to compare nothing newer can be said of it.
    if scanned.case.is_matched
        && let Err(reason) = keep_case(&reports, place, image, scanned).await
    {
        call.log.warning(&format!("the image will not be held against newer advisories: {reason}")).await;
    }
}

async fn keep_case(reports: &Reports, place: Place, image: String, scanned: &Scanned) -> Result<(), String> {
    let verdict = &scanned.verdict;
    let body = scanned.case.pack().map_err(|error| error.to_string())?;
    let Place { repository, run, job, step } = place;
    let new = NewCase {
        repository,
        image,
        digests: verdict.repository_digests.clone(),
        target: verdict.target.clone(),
        run,
        job,
        step,
        body,
        at: verdict.decided,
        advisories: verdict.advisories.as_ref().map(|used| stamp(&used.digest, used.updated)),
    };
    match reports.scan_cases().keep(new).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("what is in it takes more than {CASE_BYTES_MAX} bytes")),
        Err(error) => Err(error.to_string()),
    }
}

/// Keeps what was found for those who look at it over time: of images, and of sources.
pub(super) async fn keep(call: &mut ActionCall<'_>, scanned: &Scanned, wish: &Wish) {
    let (verdict, run) = (&scanned.verdict, &call.run);
    let Some(reports) = run.reports.clone().filter(|_| run.keeper.trusted) else { return };
    let is_image = scanned.is_of_daemon;
    let Place { repository, run, job, step } = place(call);
    let new = NewScan {
        repository,
        subject: subject(if is_image { image_name(&verdict.target) } else { &verdict.target }, wish),
        is_image,
        run,
        job,
        step,
        outcome: verdict.outcome.as_str().to_owned(),
        sentence: verdict.sentence(),
        at: verdict.decided,
        found: found(&verdict.judged),
    };
    if let Err(error) = reports.scans().record(new).await {
        call.log.warning(&format!("what was found is not on the page of findings: {error}")).await;
    }
}

fn place(call: &ActionCall<'_>) -> Place {
    let run = &call.run;
    Place { repository: call.repository.name.clone(), run: run.id, job: run.job.clone(), step: call.step }
}

/// Scans that look for other things are no later looks at the same: one would mend what the other finds.
fn subject(name: &str, wish: &Wish) -> String {
    let all = wish.scanners;
    let asked = [
        (all.vulnerabilities, "vuln"),
        (all.secrets, "secret"),
        (all.misconfigurations, "misconfig"),
        (all.code, "code"),
    ];
    let words: Vec<&str> = asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, word)| word).collect();
    let only = if words.len() == asked.len() { String::new() } else { format!(" ({})", words.join(", ")) };
    let imported: String = wish.import.iter().map(|path| format!(" + {path}")).collect();
    format!("{name}{only}{imported}")
}
