#!/usr/bin/env bash
# Puts tools of others into a folder, which tests hold our reports and attestations against: the schemas of SARIF and
# CycloneDX, the validator of SPDX, Python's cryptography; checkov, which reads our Terraform; zizmor, whose findings ours are
# compared with; boto3, whose models of AWS all calls of tests are compared with, and ministack, whose registry stands for ECR;
# docker-registry, which images are pushed to.
# Tests install nothing; without this they say that they skip.
# usage: scripts/validators.sh FOLDER
set -euo pipefail

folder=${1:?usage: scripts/validators.sh FOLDER}
python_packages=('cyclonedx-python-lib[json-validation]==11.12.0' 'spdx-tools==0.8.5' 'jsonschema==4.26.0' 'cryptography>=42' 'zizmor==1.32.0')
# In a place of its own: it wants other versions of the same libraries.
linter_package='checkov==3.3.30'
# The models know the calls and words of AWS at that time: a newer one may have more.
models_package='boto3==1.44.5'
emulator_package='ministack==1.5.33'
sarif_package='@microsoft/jest-sarif@1.0.0-beta.0'
stamp=$folder/complete-4

say() { printf 'validators: %s\n' "$*"; }

# A registry that images are really pushed to: unpacked only, since Debian's package starts a service where it is installed.
registry() {
  local there=$folder/registry
  [[ ! -x $there/usr/bin/docker-registry ]] || return 0
  ! command -v docker-registry >/dev/null || return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  mkdir -p "$there"
  fetch() { (cd "$there" && apt-get download -qq docker-registry && dpkg-deb -x docker-registry_*.deb . && rm docker-registry_*.deb); }
  fetch || { [[ $(id -u) == 0 ]] && apt-get update -qq && fetch; }
}
registry >/dev/null 2>&1 || say "docker-registry could not be had (Debian's package of that name): tests of pushes to it are skipped"
[[ ! -e $stamp ]] || exit 0
command -v python3 >/dev/null || { say "python3 is missing, so reports are not held against schemas"; exit 0; }
command -v npm >/dev/null || { say "npm is missing, so reports are not held against schemas"; exit 0; }

say "installing into $folder"
mkdir -p "$folder"
log=$folder/install.log
# A virtual environment of this name with these packages.
packages() {
  local name=$1
  shift
  python3 -m venv "$folder/$name" && "$folder/$name/bin/pip" install --quiet --disable-pip-version-check "$@"
}
# Within `if` nothing ends a function by itself.
install() {
  packages python "${python_packages[@]}" &&
    packages checkov "$linter_package" &&
    packages aws "$models_package" &&
    packages ministack "$emulator_package" &&
    (cd "$folder" && archive=$(npm pack --silent "$sarif_package") && tar -xzf "$archive" && rm "$archive") &&
    cp "$folder"/package/lib/schemas/sarif-2.1.0-rtm.5.json "$folder/sarif.schema.json"
}
if install >"$log" 2>&1; then
  touch "$stamp"
else
  say "they could not be installed, so reports are not held against schemas, nor calls against AWS's models; see $log"
fi
