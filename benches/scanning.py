"""Inventories beside Trivy's and Syft's, on the archives that scan_images.sh makes: the sets of packages, time and memory.

Usage: scanning.py PATH_TO_INVENTORY FOLDER_OF_ARCHIVES [sets|speed]
PATH_TO_INVENTORY is the example `inventory` of the crate `scanners`, built with --release. TRIVY and SYFT name the rivals; they
are looked for on PATH and left out where they are not. Each figure is the median of RUNS runs, taken in turn.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS, ARCHIVES = "", []
TRIVY = os.environ.get("TRIVY") or shutil.which("trivy")
SYFT = os.environ.get("SYFT") or shutil.which("syft")
RUNS = int(os.environ.get("RUNS", "11"))
SLOW_RUNS = int(os.environ.get("SLOW_RUNS", "3"))
OURS_TYPES = {"debian": "deb", "alpine": "apk", "rpm": "rpm", "npm": "npm", "pypi": "pypi", "go": "golang", "maven": "maven",
              "rubygems": "gem", "cargo": "cargo", "packagist": "composer"}
TRIVY_TYPES = {"debian": "deb", "alpine": "apk", "alma": "rpm", "rocky": "rpm", "redhat": "rpm", "node-pkg": "npm", "npm": "npm",
               "yarn": "npm", "pnpm": "npm", "python-pkg": "pypi", "pip": "pypi", "poetry": "pypi", "uv": "pypi",
               "pipenv": "pypi", "gobinary": "golang", "gomod": "golang", "jar": "maven", "gemspec": "gem",
               "bundler": "gem", "rustbinary": "cargo", "cargo": "cargo", "composer": "composer",
               "composer-vendor": "composer"}


def run(command, stdin=None):
    """Wall seconds, peak memory in MiB (no less than this program's own) and standard output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=errors, stdin=stdin or subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if child.returncode:
            print(f"{' '.join(map(str, command))} gave {child.returncode}: {errors.read()[-500:].decode()}", file=sys.stderr)
        return wall, usage.ru_maxrss / 1024, out.read()


def ours(archive, *more):
    return run([OURS, "archive", str(archive), *more])


def our_memory(archive):
    """In MiB, as the process itself saw it."""
    told = subprocess.run([OURS, "archive", str(archive)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
    return int(told.split()[-2]) / 1024


def trivy(archive, cache, form="json"):
    return run([TRIVY, "image", "--quiet", "--input", str(archive), "--cache-dir", str(cache), "--format", form,
                "--list-all-pkgs", "--scanners", "license", "--skip-db-update", "--skip-java-db-update", "--offline-scan"])


def syft(archive):
    # Its fairest form: no digests of files, no other outputs.
    os.environ.update(SYFT_FILE_METADATA_SELECTION="none", SYFT_CHECK_FOR_APP_UPDATE="false")
    return run([SYFT, "scan", f"docker-archive:{archive}", "--quiet", "--output", "syft-json"])


def our_set(text):
    return {(OURS_TYPES[package["ecosystem"]], package["name"], package["version"]) for package in json.loads(text)["packages"]}


def trivy_set(text):
    found = set()
    for result in json.loads(text).get("Results") or []:
        kind = TRIVY_TYPES.get(result.get("Type"), result.get("Type"))
        for package in result.get("Packages") or []:
            version = package.get("Version", "")
            if kind in ("deb", "rpm"):
                version += f"-{package['Release']}" if package.get("Release") else ""
                version = f"{package['Epoch']}:{version}" if package.get("Epoch") else version
            found.add((kind, package["Name"], version))
    return found


def syft_set(text):
    kinds = {"python": "pypi", "go-module": "golang", "java-archive": "maven", "rust-crate": "cargo", "jenkins-plugin": "maven",
             "php-composer": "composer"}
    return {(kinds.get(package["type"], package["type"]), package["name"], package["version"])
            for package in json.loads(text)["artifacts"]}


def differences(name, ours_found, theirs):
    for kind in sorted({kind for kind, _, _ in ours_found | theirs}):
        mine = {entry for entry in ours_found if entry[0] == kind}
        other = {entry for entry in theirs if entry[0] == kind}
        print(f"  {kind:9} ours {len(mine):5}  {name} {len(other):5}  only ours {len(mine - other):4}  only {name} {len(other - mine):4}")
        for who, entries in (("ours", mine - other), (name, other - mine)):
            for entry in sorted(entries, key=str)[:int(os.environ.get("SHOWN", "8"))]:
                print(f"      only {who}: {entry[1]} {entry[2]}")


def sets():
    for archive in ARCHIVES:
        found = our_set(ours(archive)[2])
        print(f"{archive.name}: {len(found)} packages")
        with tempfile.TemporaryDirectory() as cache:
            if TRIVY:
                differences("trivy", found, trivy_set(trivy(archive, cache)[2]))
        if SYFT:
            differences("syft", found, syft_set(syft(archive)[2]))


def row(name, runs, action):
    figures = [action() for _ in range(runs)]
    walls = sorted(wall for wall, _, _ in figures)
    memory = max(memory for _, memory, _ in figures)
    print(f"  {name:26} {statistics.median(walls) * 1000:9.1f} ms  ({walls[0] * 1000:.1f}–{walls[-1] * 1000:.1f}, n={runs})  {memory:6.1f} MiB", flush=True)


def speed():
    print(f"load {os.getloadavg()[0]:.1f}")
    for archive in ARCHIVES:
        print(f"{archive.name}: {archive.stat().st_size / 1e6:.0f} MB")
        ours(archive)
        row("ours, nothing kept", RUNS, lambda: ours(archive))
        with tempfile.TemporaryDirectory() as cache:
            ours(archive, cache)
            row("ours, layers kept", RUNS, lambda: ours(archive, cache))
            print(f"  ours, memory               {our_memory(archive):9.1f} MiB")
        if TRIVY:
            def cold():
                with tempfile.TemporaryDirectory() as cache:
                    return trivy(archive, cache, "cyclonedx")
            row("trivy, cold", SLOW_RUNS, cold)
            with tempfile.TemporaryDirectory() as cache:
                trivy(archive, cache, "cyclonedx")
                row("trivy, warm", SLOW_RUNS, lambda: trivy(archive, cache, "cyclonedx"))
        if SYFT:
            row("syft", SLOW_RUNS, lambda: syft(archive))


def rows(base):
    """The rows of `make bench`: an image of the 450 MB class beside Trivy and Syft, whose package sets are compared first."""
    global OURS
    import measuring
    if not measuring.wanted("inventory-archive", "inventory-kept", "inventory-daemon", "inventory-memory"):
        return
    measuring.run(["cargo", "build", "--release", "--locked", "-p", "scanners", "--example", "inventory"], cwd=measuring.ROOT)
    OURS = str(Path(os.environ.get("CARGO_TARGET_DIR", measuring.ROOT / "target")) / "release/examples/inventory")
    archive, kept, cache = base / "image.tar", str(base / "kept"), base / "trivy"
    measuring.run(["docker", "save", measuring.IMAGE, "--output", str(archive)])
    answer = base / "image.json"
    answer.write_text(measuring.run(["docker", "inspect", measuring.IMAGE])[2])
    found = our_set(ours(archive)[2])
    if TRIVY and (theirs := trivy_set(trivy(archive, cache)[2])) != found:
        raise SystemExit(f"Trivy finds other packages: {sorted(theirs ^ found, key=str)[:20]}")

    def cold():
        shutil.rmtree(cache, ignore_errors=True)
        return trivy(archive, cache, "cyclonedx")[0]

    def daemon():
        with answer.open() as text:
            return run([OURS, "overlay", "-"], text)[0]
    size = archive.stat().st_size / 1e6
    print(f"inventory: {size:.0f} MB, {len(found)} packages")
    measuring.compare("inventory-archive", "≤ 130 ms", lambda: ours(archive)[0],
                      cold if TRIVY else None, "trivy", unit="ms", scale=1000, runs=11)
    measuring.compare("inventory-archive-syft", "", lambda: ours(archive)[0], (lambda: syft(archive)[0]) if SYFT else None, "syft",
                      unit="ms", scale=1000, runs=11, rival_runs=3)
    measuring.compare("inventory-kept", "≤ 20 ms", lambda: ours(archive, kept)[0],
                      (lambda: trivy(archive, cache, "cyclonedx")[0]) if TRIVY else None, "trivy, warm", unit="ms", scale=1000, runs=11)
    if os.geteuid() == 0:
        measuring.compare("inventory-daemon", "≤ 250 ms", daemon, unit="ms", scale=1000, runs=11)
    measuring.compare("inventory-memory", "≤ 40 MB", lambda: our_memory(archive), unit="MiB", runs=3)


if __name__ == "__main__":
    OURS = str(Path(sys.argv[1]).resolve())
    ARCHIVES = sorted(Path(sys.argv[2]).glob("*.tar"))
    for part in sys.argv[3:] or ["sets", "speed"]:
        {"sets": sets, "speed": speed}[part]()
