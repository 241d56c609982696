//! Images that are deployed keep a tag in their repository of ECR, so that its rules never remove what somebody may go back to.

use aws::{Cloud, Ecr, Fault, Problem, deployed_tag};
use serde_json::{Value, json};
use workflow::secret::Secret;

use super::refused;
use crate::registry::Login;
use crate::rollout::{CallError, Subject};

/// Digits of the digest in the tag: numbers of rollouts begin anew with each installation.
const DIGITS: usize = 12;

/// An image in a repository of ECR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// 12 digits; `None`: the account of the keys.
    account: Option<String>,
    region: Option<String>,
    repository: String,
    digest: String,
}

impl Kept {
    /// Of an image by its digest, if its registry is ECR: by its host's name, or by the address that stands for ECR.
    pub(crate) fn of(cloud: &Cloud, image: &str) -> Option<Self> {
        let (name, digest) = image.split_once('@')?;
        let (host, repository) = name.split_once('/')?;
        let (repository, digest) = (repository.to_owned(), digest.to_owned());
        if let [account, "dkr", "ecr", region, "amazonaws", ..] = host.split('.').collect::<Vec<_>>().as_slice() {
            let (account, region) = (Some((*account).to_owned()), Some((*region).to_owned()));
            return Some(Self { account, region, repository, digest });
        }
        let stands_for_it = cloud
            .endpoints()
            .any(|address| address.split_once("://").map_or(address, |(_, rest)| rest).trim_end_matches('/') == host);
        stands_for_it.then_some(Self { account: None, region: None, repository, digest })
    }

    fn ecr(&self, cloud: &Cloud) -> Ecr {
        let cloud = self.region.as_deref().map_or_else(|| cloud.clone(), |region| cloud.in_region(region));
        cloud.ecr(self.account.as_deref())
    }

    /// A name and password for its registry.
    ///
    /// # Errors
    /// As AWS says.
    pub(crate) async fn login(&self, cloud: &Cloud) -> Result<Login, Problem> {
        let none = || Problem::plain(Fault::Aws, "AWS gave no password for the registry");
        let key = self.ecr(cloud).login(&[]).await?.into_iter().next().ok_or_else(none)?;
        Ok(Login { user: key.user, password: Secret::new(key.password) })
    }

    /// The tag that it has once this rollout stands.
    pub(crate) fn tag_in(&self, environment: &str, rollout: u64) -> String {
        let digits: String = self.digest.trim_start_matches("sha256:").chars().take(DIGITS).collect();
        format!("{}-{digits}", deployed_tag(environment, rollout))
    }

    /// Gives it the tag. Asked for twice it has it once.
    ///
    /// # Errors
    /// As AWS says.
    pub(crate) async fn keep(&self, cloud: &Cloud, tag: &str) -> Result<(), Problem> {
        let ecr = self.ecr(cloud);
        if ecr.tag(&self.repository, tag).await?.as_deref() == Some(self.digest.as_str()) {
            return Ok(());
        }
        ecr.give_tag(&self.repository, &self.digest, tag).await
    }

    /// Why the rules of its repository may remove it, in words for a person; `None`: it has its tag.
    pub(crate) async fn may_go(&self, cloud: &Cloud, tag: &str) -> Option<String> {
        let why = match self.ecr(cloud).tag(&self.repository, tag).await {
            Ok(Some(digest)) if digest == self.digest => return None,
            Ok(_) => "it could not be given".to_owned(),
            Err(problem) => problem.words,
        };
        Some(format!(
            "the image has no tag {tag} in {}, by which lifecycle rules keep what somebody may go back to: {why}. Allow the role \
             `ecr:DescribeImages`, `ecr:BatchGetImage` and `ecr:PutImage` there",
            self.repository
        ))
    }
}

/// The same image by its digest, as its tag stands now; `None`: its registry is not ECR.
///
/// # Errors
/// There is no such image, or AWS does not say.
pub(crate) async fn pinned(cloud: &Cloud, image: &str) -> Result<Option<String>, Problem> {
    // A colon before the last slash is of a port.
    let at = image.rfind(':').filter(|at| !image[*at..].contains('/'));
    let (name, tag) = at.map_or((image, "latest"), |at| (&image[..at], &image[at + 1..]));
    let Some(kept) = Kept::of(cloud, &format!("{name}@")) else { return Ok(None) };
    match kept.ecr(cloud).tag(&kept.repository, tag).await? {
        Some(digest) => Ok(Some(format!("{name}@{digest}"))),
        None => Err(Problem::plain(
            aws::Fault::Request,
            format!("there is no image {image}: was it pushed there, and did no lifecycle rule remove it?"),
        )),
    }
}

/// Gives the image of a rollout its tag, if its registry is ECR; what came of it stands in `made`.
///
/// # Errors
/// AWS asks to come back later.
pub(crate) async fn keep_image(cloud: &Cloud, subject: &Subject, made: &mut Value) -> Result<(), CallError> {
    let Some(kept) = Kept::of(cloud, &subject.plan.image) else { return Ok(()) };
    let tag = kept.tag_in(&subject.plan.environment, subject.rollout);
    match kept.keep(cloud, &tag).await {
        Ok(()) => made["tag"] = json!(tag),
        Err(problem) if problem.is_for_now => return Err(refused(problem)),
        // What serves all users well is not taken away for a missing right; the step says it.
        Err(problem) => made["warning"] = json!(problem.words),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_of_ecr_are_known() {
        let variables = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("a"),
            "AWS_REGION" => Some("eu-central-1"),
            "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:4566/"),
            _ => None,
        };
        let cloud = Cloud::of(None, variables).unwrap();
        let of = |image: &str| Kept::of(&cloud, image);
        let there = of("123456789012.dkr.ecr.us-west-2.amazonaws.com/shop/orders@sha256:aa").unwrap();
        assert_eq!((there.account.as_deref(), there.region.as_deref()), (Some("123456789012"), Some("us-west-2")));
        assert_eq!((there.repository.as_str(), there.digest.as_str()), ("shop/orders", "sha256:aa"));
        assert_eq!(of("127.0.0.1:4566/shop@sha256:aa").unwrap().repository, "shop");
        assert!(of("ghcr.io/acme/shop@sha256:aa").is_none() && of("shop:1").is_none());
    }
}
