//! What must not depend on what was done to a server: ends, logs, what steps did, what is left.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use engine::placement::Owner;
use nix::unistd::Pid;
use serde_json::Value as Json;

use crate::world::World;

/// Everything that can be told of a run afterwards.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Facts of ends: `one success`, `run success`; each as often as it was recorded.
    pub(crate) ends: Vec<String>,
    /// Steps that were begun and ended, as often as they were recorded.
    pub(crate) steps: Vec<String>,
    /// Their logs, byte by byte.
    pub(crate) logs: BTreeMap<String, String>,
    /// What steps told from outside, as often as they told it.
    pub(crate) told: Vec<String>,
    /// Runs of each delivery.
    pub(crate) deliveries: Vec<Json>,
    pub(crate) left: Vec<String>,
}

impl World {
    /// To be asked when the server has ended.
    pub(crate) fn outcome(&self, run: u64) -> Outcome {
        let facts = self.facts(run);
        let name = |fact: &Json| format!("{} {}", fact["job"].as_str().unwrap_or("run"), fact["step"]);
        let mut ends: Vec<_> = of_type(&facts, &["job_run_finished", "run_finished"])
            .map(|fact| format!("{} {}", fact["job"].as_str().unwrap_or("run"), fact["conclusion"].as_str().unwrap()))
            .collect();
        let mut steps: Vec<_> =
            of_type(&facts, &["step_started"]).map(|fact| format!("{} begun", name(fact))).collect();
        steps.extend(of_type(&facts, &["step_finished"]).map(|fact| {
            format!("{} {} {}", name(fact), fact["result"]["outcome"].as_str().unwrap(), fact["result"]["exit_code"])
        }));
        ends.sort();
        steps.sort();
        let deliveries = self.deliveries().iter().map(|one| one["runs"].clone()).collect();
        let mut logs = BTreeMap::new();
        let folder = self.data().join(format!("runs/{run}/logs"));
        files(&folder, &mut |path| {
            // When lines came is another time in each life.
            if path.extension().is_some_and(|extension| extension == "times") {
                return;
            }
            let name = path.strip_prefix(&folder).unwrap().display().to_string();
            logs.insert(name, String::from_utf8(std::fs::read(path).unwrap()).unwrap());
        });
        Outcome { ends, steps, logs, told: self.witness.take(), deliveries, left: self.left() }
    }

    /// The facts of a run, without its output.
    pub(crate) fn facts(&self, run: u64) -> Vec<Json> {
        // It ends with the run's own code.
        let output = self.pipe(&["watch", &run.to_string(), "--data", &self.data().display().to_string(), "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let facts = text.lines().map(|line| serde_json::from_str(line).unwrap());
        facts.filter(|fact: &Json| fact["type"] != "log").collect()
    }

    /// All deliveries, newest first.
    pub(crate) fn deliveries(&self) -> Vec<Json> {
        let list = self.done(&["deliveries", "list", "--data", &self.data().display().to_string(), "--json"]);
        let list: Json = serde_json::from_str(&list).unwrap();
        list["deliveries"].as_array().unwrap().clone()
    }

    /// Whether a job of a run is over.
    pub(crate) fn is_over(&self, run: u64, job: &str) -> bool {
        let output = self.pipe(&["show", &run.to_string(), "--data", &self.data().display().to_string(), "--json"]);
        let shown: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
        shown["jobs"].as_array().into_iter().flatten().any(|one| one["key"] == job && one["status"] == "completed")
    }

    /// What a server that has ended left: in its folders, in the container engine, agents.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = self.left_by_jobs();
        let ahead = [self.data().join("ahead"), self.data().join("run/ahead")];
        left.extend(ahead.iter().filter(|folder| folder.exists()).map(|folder| folder.display().to_string()));
        left.extend(
            self.containers()
                .into_iter()
                .filter(|(_, whose)| whose.is_none())
                .map(|(id, _)| format!("made ahead: {id}")),
        );
        let networks = self.docker(&["network", "ls", "--quiet"], "apart");
        left.extend(networks.lines().map(|id| format!("network of jobs: {id}")));
        left
    }

    /// What jobs left. Not what a server that runs has made ahead for others.
    pub(crate) fn left_by_jobs(&self) -> Vec<String> {
        let mut left = Vec::new();
        for name in ["work", "run", "journals", "agents"] {
            files(&self.data().join(name), &mut |path| left.push(path.display().to_string()));
            let entries = std::fs::read_dir(self.data().join(name)).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path().display().to_string()));
        }
        let ahead = self.data().join("run/ahead").display().to_string();
        left.retain(|path| !path.starts_with(&ahead));
        for words in [["network", "ls"], ["volume", "ls"]] {
            let text = self.docker(&[&words[..], &["--quiet"]].concat(), "owner");
            left.extend(text.lines().map(|id| format!("{}: {id}", words[0])));
        }
        let whose = self.containers().into_iter();
        left.extend(whose.filter_map(|(id, whose)| Some(format!("container of {}: {id}", whose?))));
        left.extend(self.processes().into_iter().map(|(_, words)| words));
        left
    }

    /// All containers of this world, each with the job that it is of; one that was made ahead is of the job that has taken
    /// it, or of none.
    pub(crate) fn containers(&self) -> Vec<(String, Option<String>)> {
        let form = "{{.ID}} {{.Label \"dev.pipe.run\"}} {{.Label \"dev.pipe.job\"}}";
        let text = self.docker(&["ps", "--all", "--format", form], "owner");
        let whose = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let (id, run, job) = (words.next()?.to_owned(), words.next()?, words.next()?);
            if run != "ahead" {
                return Some((id, Some(job.to_owned())));
            }
            let claim = std::fs::read_to_string(self.data().join("ahead/claims").join(job)).unwrap_or_default();
            Some((id, claim.lines().nth(1).map(str::to_owned)))
        };
        text.lines().filter_map(whose).collect()
    }

    /// Asks for what carries this label of ours.
    fn docker(&self, words: &[&str], label: &str) -> String {
        let filter = format!("label=dev.pipe.{label}={}", self.installation());
        self.told_docker(&[words, &["--filter", &filter]].concat())
    }

    fn told_docker(&self, words: &[&str]) -> String {
        let mut command = Command::new("docker");
        command.args(words);
        command.envs(self.docker.as_ref().map(|host| ("DOCKER_HOST", host)));
        let output = command.output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The owner that labels of what it makes name.
    pub(crate) fn installation(&self) -> String {
        Owner::new(&self.data()).installation().to_owned()
    }

    /// Processes of this world's jobs on this machine, with their words.
    pub(crate) fn processes(&self) -> Vec<(Pid, String)> {
        let data = self.data().display().to_string();
        let mut found = Vec::new();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let read = |name: &str| {
                String::from_utf8_lossy(&std::fs::read(process.path().join(name)).unwrap_or_default())
                    .replace('\0', " ")
            };
            let Ok(pid) = process.file_name().to_string_lossy().parse() else { continue };
            let words = read("cmdline");
            if words.contains(&data) || read("environ").contains(&data) {
                found.push((Pid::from_raw(pid), words));
            }
        }
        found
    }
}

impl Drop for World {
    /// A server that was killed leaves the network that its jobs share, for the next one of its folder, which goes now.
    /// An engine has some thirty networks to give.
    fn drop(&mut self) {
        for network in self.docker(&["network", "ls", "--quiet"], "apart").lines() {
            self.told_docker(&["network", "rm", network]);
        }
    }
}

fn of_type<'a>(facts: &'a [Json], types: &'a [&str]) -> impl Iterator<Item = &'a Json> {
    facts.iter().filter(|fact| types.contains(&fact["type"].as_str().unwrap_or_default()))
}

fn files(folder: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), each);
        } else {
            each(&entry.path());
        }
    }
}

/// Whether a file of this name lies somewhere in a folder.
pub(crate) fn has_file(folder: &Path, name: &str) -> bool {
    let mut found = false;
    files(folder, &mut |path| found |= path.file_name().is_some_and(|file| file == name));
    found
}
