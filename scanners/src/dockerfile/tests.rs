//! Dockerfiles with one slip each, and some without.

use super::check;

fn checked(text: &str, expect: &[&str]) {
    let findings = check("Dockerfile", text);
    let shown: Vec<_> =
        findings.iter().map(|one| format!("{}:{}", one.place().unwrap().line.unwrap(), one.id)).collect();
    assert_eq!(shown, expect, "{text}\n{findings:#?}");
}

/// An instruction in a file that has nothing else wrong with it.
fn one(instruction: &str, expect: &[&str]) {
    let text = format!("FROM debian:12\nWORKDIR /app\n{instruction}\nUSER app\n");
    checked(
        &text,
        &expect.iter().map(|id| format!("3:{id}")).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

#[test]
fn where_images_come_from() {
    checked("FROM debian\nUSER a", &["1:docker-untagged-base"]);
    checked("FROM debian:latest\nUSER a", &["1:docker-latest-base"]);
    checked("FROM localhost:5000/debian\nUSER a", &["1:docker-untagged-base"]);
    checked("FROM debian@sha256:00\nUSER a", &[]);
    checked("ARG V=1\nFROM debian:$V AS build\nFROM build\nUSER a", &[]);
    checked("FROM scratch AS a\nFROM scratch AS A\nUSER a", &["2:docker-stage-twice"]);
    checked("FROM a:1 AS x\nCOPY --from=x /a /b\nUSER a", &["2:docker-copy-from-itself"]);
    checked("FROM a:1\nCOPY --from=build /a /b\nCOPY --from=nginx:1 /a /b\nUSER a", &["2:docker-unknown-stage"]);
    checked("RUN a\nFROM b:1\nUSER a", &["1:docker-before-from"]);
}

#[test]
fn who_runs() {
    checked("FROM a:1\nRUN x", &["1:docker-root"]);
    checked("FROM a:1\nUSER app\nUSER root", &["3:docker-root"]);
    checked("FROM a:1 AS base\nUSER app\nFROM base\nRUN x", &[]);
    checked("FROM gcr.io/distroless/static:nonroot\nCOPY a /a", &[]);
}

#[test]
fn settings() {
    one("ENV DB_PASSWORD=hunter2", &["docker-secret-in-image"]);
    one("ENV DB_PASSWORD hunter2", &["docker-secret-in-image"]);
    one("ARG NPM_TOKEN", &["docker-secret-in-image"]);
    one("ENV DB_PASSWORD_FILE=/run/secrets/db", &[]);
    one("ENV DB_PASSWORD=", &[]);
    one("ENV A=1 B=$A", &["docker-env-of-itself"]);
    one("WORKDIR src", &["docker-relative-workdir"]);
    one("ADD a.txt /a", &["docker-add"]);
    one("ADD a.tar.gz /a", &[]);
    one("ADD https://x.example/a /a", &["docker-add-unchecked-url"]);
    one("ADD --checksum=sha256:00 https://x.example/a /a", &[]);
    one("COPY a b c", &["docker-copy-many"]);
    one("COPY a b c/", &[]);
    one("CMD node x.js", &["docker-shell-form"]);
    one("CMD [\"a\"]\nCMD [\"b\"]", &["docker-several-commands"]);
    one("EXPOSE 22", &["docker-ssh-port"]);
    one("EXPOSE 80 70000/tcp", &["docker-port"]);
    one("EXPOSE 80/tcp 9000-9005", &[]);
    one("COPPY a b", &["docker-unknown-instruction"]);
    one("MAINTAINER me", &["docker-maintainer"]);
}

#[test]
fn commands() {
    one("RUN sudo make", &["docker-sudo"]);
    one("RUN cd /x && make", &["docker-cd"]);
    one("RUN curl -fsS https://x.example | bash", &["docker-download-to-shell", "docker-pipe-without-pipefail"]);
    one("RUN set -o pipefail && a | b", &[]);
    one("SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN a | b", &[]);
    one("RUN curl -ks https://x.example -o a", &["docker-unchecked-tls"]);
    one("RUN wget --no-check-certificate https://x.example", &["docker-unchecked-tls"]);
    one("RUN chmod -R 777 /app", &["docker-chmod-777"]);
    one("RUN <<EOF\nset -e\nsudo make\nEOF", &["docker-sudo"]);
    one("RUN [\"sh\", \"-c\", \"sudo make\"]", &["docker-sudo"]);
    one("RUN echo 'sudo'", &[]);
}

#[test]
fn package_managers() {
    let good =
        "RUN apt-get update && apt-get install -y --no-install-recommends curl=7.1 \\\n && rm -rf /var/lib/apt/lists/*";
    one(good, &[]);
    one(&good.replace("=7.1", ""), &["docker-unpinned-package"]);
    one(&good.replace("-y ", ""), &["docker-install-asks"]);
    one(&good.replace("--no-install-recommends ", ""), &["docker-apt-recommends"]);
    one(&good.replace("rm -rf /var/lib/apt/lists/*", "true"), &["docker-apt-lists"]);
    one(&good.replace("apt-get", "apt"), &["docker-apt"]);
    one("RUN apt-get update", &["docker-update-alone"]);
    one("RUN apk add curl=1", &["docker-package-cache"]);
    one("RUN apk add --no-cache curl", &["docker-unpinned-package"]);
    one("RUN pip install --no-cache-dir -r requirements.txt", &[]);
    one("RUN pip install --no-cache-dir flask", &["docker-unpinned-package"]);
    one("RUN --mount=type=cache,target=/root/.cache pip install flask==3.0.0", &[]);
    one("RUN npm install -g left-pad", &["docker-unpinned-package"]);
    one("RUN npm install -g @a/b@1.0.0 && npm ci && npm install", &[]);
    one("RUN dnf install -y x && dnf clean all", &[]);
}

#[test]
fn comments_are_obeyed() {
    checked("# hadolint ignore=DL3006,DL3002\nFROM debian", &[]);
    checked("# pipe global ignore=docker-root\nFROM debian\nRUN sudo x", &["2:docker-untagged-base", "3:docker-sudo"]);
    checked(
        "FROM a:1\n# a word about it\n# hadolint ignore=DL3004\nRUN sudo x\nRUN sudo y\nUSER a",
        &["5:docker-sudo"],
    );
}
