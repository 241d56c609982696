//! `pipe scan`: images, archives, folders; the advisories; what two scans differ in.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `pipe scan`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "TARGET is an image of the local Docker, an archive of `docker save`, an OCI layout, a folder with a file \
                  system, or sources; `image:`, `archive:`, `oci:`, `rootfs:` or `dir:` in front says which.\n\
                  Exit codes: 0 the gate lets it pass, 1 it does not, 2 the result cannot be trusted (or usage)."
)]
pub struct ScanArgs {
    /// Advisories and comparisons
    #[command(subcommand)]
    pub command: Option<ScanCommand>,
    /// What to scan [default: the sources in this folder]
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// How
    #[command(flatten)]
    pub how: ScanHow,
    /// The form of the report on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = format)]
    pub format: String,
    /// Write the report to this file as well, in this form; may be repeated
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = report)]
    pub reports: Vec<(String, PathBuf)>,
    /// Write the secrets that are there to this file, without themselves; from then on they are known
    #[arg(long, value_name = "FILE", conflicts_with = "secret_baseline")]
    pub write_secret_baseline: Option<PathBuf>,
    /// Print JSON
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// What `pipe scan` and `pipe scan diff` share.
#[derive(Debug, Clone, Args)]
pub struct ScanHow {
    /// The policy that decides [default: .pipe/gate.yml where it is, else what is critical fails]
    #[arg(long, value_name = "FILE")]
    pub gate: Option<PathBuf>,
    /// Folder with advisories, as `pipe scan db update` or osv-scanner keep them
    #[arg(long, value_name = "DIR")]
    pub db: Option<PathBuf>,
    /// The Dockerfile that the image was built from, so that findings name its lines
    #[arg(long, value_name = "FILE")]
    pub dockerfile: Option<PathBuf>,
    /// The stage of the Dockerfile
    #[arg(long, value_name = "NAME", requires = "dockerfile")]
    pub stage: Option<String>,
    /// What is looked for
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_enum, default_values_t = Scanner::ALL)]
    pub scanners: Vec<Scanner>,
    /// Compare with this image, archive, folder or JSON report, instead of what the policy names
    #[arg(long, value_name = "TARGET")]
    pub baseline: Option<String>,
    /// Rules for secrets in place of the built-in ones: a gitleaks.toml, whose `extend.useDefault` adds those
    #[arg(long, value_name = "FILE")]
    pub secret_rules: Option<PathBuf>,
    /// Secrets that are known and fail nothing: a file of `--write-secret-baseline`, or gitleaks' JSON
    /// [default: of sources .pipe/secrets.json where it is]
    #[arg(long, value_name = "FILE")]
    pub secret_baseline: Option<PathBuf>,
    /// A report of another tool that the gate judges too: SARIF, JSON of Trivy, Grype, Snyk, Semgrep or ZAP; may be repeated
    #[arg(long, value_name = "FILE")]
    pub import: Vec<PathBuf>,
    /// A report of coverage, for policies that ask for it; may be repeated
    #[arg(long, value_name = "FILE")]
    pub coverage: Vec<PathBuf>,
    /// Packages for development count as well
    #[arg(long)]
    pub dev: bool,
    /// Read every layer anew
    #[arg(long)]
    pub no_cache: bool,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scanner {
    /// Advisories for packages.
    #[value(alias = "vuln")]
    Vulnerabilities,
    /// Credentials in files of sources.
    #[value(alias = "secret")]
    Secrets,
    /// Rules for Dockerfiles and Terraform.
    #[value(aliases = ["misconfig", "config"])]
    Misconfigurations,
    /// Rules for source code.
    #[value(alias = "sast")]
    Code,
}

impl Scanner {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Vulnerabilities, Self::Secrets, Self::Misconfigurations, Self::Code];
}

/// Below `pipe scan`.
#[derive(Debug, Subcommand)]
pub enum ScanCommand {
    /// Advisories on this machine
    #[command(subcommand)]
    Db(ScanDbCommand),
    /// What two targets differ in: packages, and what is wrong with them
    Diff(Box<ScanDiffArgs>),
    /// Sign documents (CycloneDX, SPDX, provenance) and attach them to an image in its registry
    Attest(ScanAttestArgs),
    /// Which statements about an image in its registry a key has signed; exit code 1 where there are none
    Verify(ScanVerifyArgs),
    /// Make a key (ECDSA P-256); the public half is printed
    Key(ScanKeyArgs),
}

/// `pipe scan attest`.
#[derive(Debug, Args)]
pub struct ScanAttestArgs {
    /// HOST/NAME@sha256:… or HOST/NAME:TAG
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// What is signed and attached
    #[arg(value_name = "FILE", required = true)]
    pub documents: Vec<PathBuf>,
    /// The private key, which only its owner may read
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `pipe scan verify`.
#[derive(Debug, Args)]
pub struct ScanVerifyArgs {
    /// HOST/NAME@sha256:… or HOST/NAME:TAG
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The public key
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Only statements of this type: cyclonedx, spdx, provenance, or its address
    #[arg(long = "type", id = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// As JSON, with what they say
    #[arg(long)]
    pub json: bool,
}

/// `pipe scan key`.
#[derive(Debug, Args)]
pub struct ScanKeyArgs {
    /// Where the private key goes; one that is there is kept, and an error
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `pipe scan db`.
#[derive(Debug, Subcommand)]
pub enum ScanDbCommand {
    /// Fetch what is new
    Update(ScanUpdateArgs),
    /// What there is, how old it is, and whether it is whole
    Status(ScanStatusArgs),
}

/// `pipe scan db update`.
#[derive(Debug, Args)]
pub struct ScanUpdateArgs {
    /// Where advisories are kept
    #[arg(long, value_name = "DIR")]
    pub db: Option<PathBuf>,
    /// Only these ecosystems, as OSV names them (npm, PyPI, Go, Debian…); may be repeated
    #[arg(long, value_name = "NAME")]
    pub ecosystem: Vec<String>,
    /// A mirror of OSV's archives
    #[arg(long, value_name = "URL")]
    pub osv_url: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `pipe scan db status`.
#[derive(Debug, Args)]
pub struct ScanStatusArgs {
    /// Where advisories are kept
    #[arg(long, value_name = "DIR")]
    pub db: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `pipe scan diff`.
#[derive(Debug, Args)]
pub struct ScanDiffArgs {
    /// What there was
    #[arg(value_name = "OLD")]
    pub old: String,
    /// What there is
    #[arg(value_name = "NEW")]
    pub new: String,
    /// How
    #[command(flatten)]
    pub how: ScanHow,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn format(text: &str) -> Result<String, String> {
    let known = || scanners::report::Format::ALL.map(scanners::report::Format::as_str);
    if scanners::report::Format::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    let near = workflow::diagnostic::suggest(text, known());
    let hint =
        near.map_or_else(|| format!("there are {}", known().join(", ")), |near| format!("did you mean `{near}`?"));
    Err(format!("there is no form `{text}`; {hint}"))
}

fn report(text: &str) -> Result<(String, PathBuf), String> {
    let (form, file) = text.split_once('=').ok_or("it is written FORMAT=FILE, such as sarif=scan.sarif")?;
    Ok((format(form)?, PathBuf::from(file)))
}
