//! Names of resources.

use std::fmt;

/// An Amazon Resource Name, `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
///
/// Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arn {
    whole: String,
    region: String,
    account: String,
    resource: String,
}

/// Why a text names no resource of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArnError {
    text: String,
    problem: String,
    example: &'static str,
}

impl fmt::Display for ArnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no ARN of {}: {}", self.text, self.example, self.problem)
    }
}

impl std::error::Error for ArnError {}

impl Arn {
    /// Reads the name of a resource of `service`, such as `sns`, that has a region and an account. `example` is shown where
    /// it cannot be read.
    ///
    /// # Errors
    /// It is something else: which part is wrong.
    pub fn of(text: &str, service: &str, example: &'static str) -> Result<Self, ArnError> {
        let wrong = |problem: String| ArnError { text: text.to_owned(), problem, example };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, of, region, account, resource] = parts[..] else {
            return Err(wrong(format!("it has {} of 6 parts between colons", parts.len())));
        };
        let is_name =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if arn != "arn" || !partition.starts_with("aws") || !is_name(partition) {
            return Err(wrong("it begins with `arn:aws`".to_owned()));
        }
        if of != service {
            return Err(wrong(format!("its service is `{of}`, not `{service}`")));
        }
        if region.is_empty() || !is_name(region) {
            return Err(wrong(format!("`{region}` is no region, such as `eu-central-1`")));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong(format!("`{account}` is no account: it has 12 digits")));
        }
        if resource.is_empty()
            || resource.contains(|character: char| character.is_whitespace() || character.is_control())
        {
            return Err(wrong("its last part names nothing".to_owned()));
        }
        let (region, account, resource) = (region.to_owned(), account.to_owned(), resource.to_owned());
        Ok(Self { whole: text.to_owned(), region, account, resource })
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    /// Where the resource is, such as `eu-central-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whose it is: 12 digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Its last part.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}
