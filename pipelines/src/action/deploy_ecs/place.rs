//! Whether what the inputs name is where the step is: AWS finds nothing of another region or account, and says so in words that lead astray.

use engine::step::{ActionCall, ActionError};

use super::super::aws_step::{failed, text};

/// Inputs that may be ARNs, with the region and the account in them.
const NAMES: [&str; 5] = ["cluster", "service", "services", "listener-rule", "test-listener-rule"];

/// Holds each of them against where the step is.
pub(super) fn check(call: &ActionCall<'_>, account: &str, region: &str) -> Result<(), ActionError> {
    let wrong = NAMES.iter().flat_map(|name| text(call, name).split(',').map(move |arn| (name, arn.trim())));
    let wrong: Vec<String> = wrong
        .filter_map(|(name, arn)| {
            let elsewhere = elsewhere(arn, account, region)?;
            Some(format!("`{name}: {arn}` is {elsewhere}"))
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(failed(wrong.join("\n"))) }
}

/// Where an ARN belongs if not here, with what to do. Names are wherever the step is.
fn elsewhere(arn: &str, account: &str, region: &str) -> Option<String> {
    let mut parts = arn.strip_prefix("arn:")?.split(':').skip(2);
    let (of_region, of_account) = (parts.next()?, parts.next()?);
    if of_region != region {
        return Some(format!(
            "in {of_region}, and the step is in {region}: write `aws-region: {of_region}`, or take the one of {region}"
        ));
    }
    (of_account != account).then(|| {
        format!(
            "of account {of_account}, and the credentials are of {account}: take a role of {of_account}, or what is in {account}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_elsewhere_is_said() {
        let of = |arn: &str| elsewhere(arn, "123456789012", "eu-central-1").unwrap_or_default();
        for here in ["", "shop", "orders-a", "arn:aws:ecs:eu-central-1:123456789012:cluster/shop", "arn:aws"] {
            assert_eq!(of(here), "", "{here}");
        }
        let region = of("arn:aws:ecs:us-east-1:123456789012:cluster/shop");
        assert!(
            region.contains("in us-east-1, and the step is in eu-central-1: write `aws-region: us-east-1`"),
            "{region}"
        );
        let account = of("arn:aws:ecs:eu-central-1:210987654321:cluster/shop");
        assert!(account.contains("of account 210987654321, and the credentials are of 123456789012"), "{account}");
    }
}
