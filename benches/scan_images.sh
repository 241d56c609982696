#!/usr/bin/env bash
# Makes the images that scanners are compared on, as archives of `docker save`: Debian + npm, Debian + Python, many languages,
# an rpm database, an apk database. Usage: scan_images.sh FOLDER NAME…, of npm python multi rpm apk. It needs docker with the base images of `make images`, npm,
# pip and apt; what has to come from elsewhere (rpm, jars, gems) comes from Debian's packages, unpacked and not installed.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"; docker rmi -f scan-test:npm scan-test:python scan-test:multi scan-test:rpm scan-test:apk >/dev/null 2>&1 || true' EXIT

# Unpacks packages of Debian into a folder: unpack FOLDER PACKAGE…
unpack() {
  local to=$1; shift
  mkdir -p "$to" "$work/debs"
  (cd "$work/debs" && rm -f ./*.deb && apt-get download -q "$@" >/dev/null)
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$to"; done
}

# Builds and saves: image NAME, with a Dockerfile on standard input and $work/NAME as context.
image() {
  mkdir -p "$work/$1"
  docker build --quiet --tag "scan-test:$1" --file - "$work/$1" >/dev/null
  docker save "scan-test:$1" --output "$folder/$1.tar"
  ls -l "$folder/$1.tar"
}

make_npm() {
mkdir -p "$work/npm/app"
(cd "$work/npm/app" && echo '{"name":"shop-frontend","version":"1.0.0"}' > package.json &&
  npm install --loglevel=error --no-audit --no-fund lodash@4.17.15 minimist@1.2.0 express@4.16.0 axios@0.21.0 jquery@3.4.0 @babel/core@7.20.12)
image npm <<'DOCKERFILE'
FROM buildpack-deps:bookworm
WORKDIR /app
COPY app/package.json ./
COPY app /app
RUN rm -rf /app/node_modules/jquery
DOCKERFILE
}

make_python() {
mkdir -p "$work/python"
python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target "$work/python/site-packages" --python-version 3.11 --only-binary=:all: \
  django==2.2 jinja2==2.10.1 requests==2.19.0 flask==0.12.3 urllib3==1.23 idna==2.7 werkzeug==0.15.0 markupsafe==2.1.2 certifi==2022.12.7 setuptools==65.5.0
image python <<'DOCKERFILE'
FROM python:3.11-slim-bookworm
COPY site-packages /usr/local/lib/python3.11/site-packages
RUN rm -rf /usr/local/lib/python3.11/site-packages/idna*
DOCKERFILE
}

make_multi() {
local multi=$work/multi
unpack "$work/java" libcommons-io-java libcommons-lang3-java libguava-java libslf4j-java libjackson2-core-java libspring-core-java liblog4j2-java
mkdir -p "$multi/jars" "$work/war/WEB-INF/lib" "$multi/gems" "$multi/bin"
find "$work/java/usr/share/java" -name '*.jar' -type f -exec cp {} "$multi/jars/" \;
find "$work/java/usr/share/java" -name '*.jar' -type f -exec cp {} "$work/war/WEB-INF/lib/" \;
(cd "$work/war" && python3 -m zipfile -c "$multi/jars/shop.war" WEB-INF)
unpack "$work/ruby" ruby-rack ruby-sinatra ruby-nokogiri ruby-json ruby-mustermann
cp -r "$work/ruby/usr/share/rubygems-integration" "$multi/gems/"
for program in ${GO_PROGRAMS:-}; do cp "$program" "$multi/bin/"; done
printf '{"packages":[{"name":"shop","version":"0.1.0","source":"local","root":true},{"name":"serde","version":"1.0.200","source":"crates.io"},{"name":"time","version":"0.1.43","source":"crates.io"},{"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}' |
  python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.compress(sys.stdin.buffer.read()))' > "$work/dep-v0"
objcopy --add-section .dep-v0="$work/dep-v0" /bin/true "$multi/bin/rusty"
image multi <<'DOCKERFILE'
FROM buildpack-deps:bookworm
COPY jars /opt/java
COPY gems/rubygems-integration /opt/gems
COPY bin /opt/bin
DOCKERFILE
}

make_rpm() {
unpack "$work/rpm-tools" rpm librpm9 librpmio9 librpmbuild9 librpmsign9 rpm-common liblua5.3-0 libpopt0 rpm2cpio libfsverity0 debugedit
rpm_() { LD_LIBRARY_PATH="$work/rpm-tools/usr/lib/x86_64-linux-gnu" RPM_CONFIGDIR="$work/rpm-tools/usr/lib/rpm" "$work/rpm-tools/usr/bin/$@"; }
mkdir -p "$work/rpm/root/var/lib/rpm" "$work/rpm/root/etc" "$work/built"
while read -r name epoch version release vendor; do
  cat > "$work/$name.spec" <<SPEC
Name: $name
${epoch:+Epoch: $epoch}
Version: $version
Release: $release
Summary: for a test
License: MIT
${vendor:+Vendor: $vendor}
%description
For a test.
%install
mkdir -p %{buildroot}/usr/share/$name
echo '{"name":"of-$name","version":"1.0.0"}' > %{buildroot}/usr/share/$name/package.json
%files
/usr/share/$name/package.json
SPEC
  sed -i '/^$/d' "$work/$name.spec"
  rpm_ rpmbuild --quiet -bb --define "_topdir $work/built" --define "_dbpath $work/built/db" "$work/$name.spec" >/dev/null 2>&1
done <<'PACKAGES'
zlib 0 1.2.11 40.el9 AlmaLinux
bind-utils 32 9.16.23 11.el9_2.1 AlmaLinux
openssl-libs 1 3.0.7 25.el9_3 AlmaLinux
bash 0 5.1.8 6.el9_1 Somebody else
PACKAGES
rpm_ rpmdb --root "$work/rpm/root" --dbpath /var/lib/rpm --initdb
rpm_ rpm --root "$work/rpm/root" --dbpath /var/lib/rpm -i --nodeps --noscripts "$work"/built/RPMS/*/*.rpm
printf 'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n' > "$work/rpm/root/etc/os-release"
image rpm <<'DOCKERFILE'
FROM scratch
COPY root /
DOCKERFILE
}

make_apk() {
mkdir -p "$work/apk/root/lib/apk/db" "$work/apk/root/etc" "$work/apk/root/usr/lib/node_modules/npm"
printf 'ID=alpine\nVERSION_ID=3.19.1\n' > "$work/apk/root/etc/os-release"
echo 3.19.1 > "$work/apk/root/etc/alpine-release"
echo '{"name":"npm","version":"10.2.5"}' > "$work/apk/root/usr/lib/node_modules/npm/package.json"
cat > "$work/apk/root/lib/apk/db/installed" <<'INSTALLED'
C:Q1bCR3xLd3gDWDFMzjjHdwIVoAr5Q=
P:musl
V:1.2.4_git20230717-r4
A:x86_64
S:407278
L:MIT
o:musl
F:lib
R:ld-musl-x86_64.so.1

C:Q1yhoNTqkPfiGyLGRYOCG2nBcKKuk=
P:libcrypto3
V:3.1.4-r5
A:x86_64
L:Apache-2.0
o:openssl
F:usr/lib
R:libcrypto.so.3

C:Q1yhoNTqkPfiGyLGRYOCG2nBcKKul=
P:npm
V:10.2.5-r0
A:x86_64
L:Artistic-2.0
o:npm
F:usr/lib/node_modules/npm
R:package.json

INSTALLED
image apk <<'DOCKERFILE'
FROM scratch
COPY root /
DOCKERFILE
}

for name in "${@:2}"; do "make_$name"; done
