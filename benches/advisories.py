"""How long an index of advisories takes to make and an inventory to compare, on the size of the real ones.

Usage: advisories.py PATH_TO_ADVISORIES [FOLDER_OF_JSONL_XZ], or as the row `advisories` of run.sh.
PATH_TO_ADVISORIES is the example `advisories` of the crate `scanners`, built with --release; run.sh takes it from
`examples` beside the program (`cargo build --release --locked --package scanners --example advisories`). To the real advisories it adds a
tracker of Debian that is made up, so that there are 45 thousand records and 130 thousand rows at least; the inventory has 495
packages of Debian and 105 of npm and PyPI. Each figure is the median of RUNS runs in one process.
"""

import json
import lzma
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SHARED = Path(os.environ.get("PIPE_CONFORMANCE", Path(__file__).resolve().parents[2] / "shared/conformance"))
ADVISORIES = SHARED / "advisories"
RUNS = os.environ.get("RUNS", "11")
PACKAGES = 4000
CVES_EACH = 8


def tracker(random_numbers):
    """Packages that have eight vulnerabilities each in two releases, most of them mended."""
    document = {}
    for package in range(PACKAGES):
        entries = {}
        for number in range(CVES_EACH):
            releases = {}
            for release in ("bookworm", "bullseye"):
                if random_numbers.random() < 0.85:
                    version = f"{random_numbers.randint(0, 3)}.{random_numbers.randint(0, 40)}.{random_numbers.randint(0, 9)}-1+deb12u{random_numbers.randint(1, 9)}"
                    releases[release] = {"status": "resolved", "fixed_version": version, "urgency": "not yet assigned"}
                else:
                    releases[release] = {"status": "open", "urgency": "unimportant"}
            entries[f"CVE-{2010 + number}-{10000 + package}"] = {"description": "made up " * 12, "releases": releases}
        document[f"made-{package}"] = entries
    return document


def inventory(advisories):
    """Packages of which the index has something to say, mostly in versions that are mended."""
    packages = []
    for number in range(495):
        packages.append({"ecosystem": "debian", "name": f"libmade-{number}", "version": "3.20.1-1+deb12u2",
                         "source": {"name": f"made-{number * 8}", "version": "3.20.1-1+deb12u2"}})
    names = set()
    for file, ecosystem in (("npm-swg", "npm"), ("pypi", "pypi")):
        with lzma.open(advisories / f"{file}.jsonl.xz", "rt", encoding="utf-8") as lines:
            for line in lines:
                names.add((ecosystem, json.loads(line)["affected"][0]["package"]["name"]))
    for ecosystem, name in random.Random(2).sample(sorted(names), 105):
        packages.append({"ecosystem": ecosystem, "name": name, "version": "2.1.0"})
    for package in packages:
        package["locations"] = [{"path": "somewhere"}]
    return {"target": "made", "os": {"id": "debian", "version": "12"}, "packages": packages}


def measured(ours, advisories):
    """What the program says of making an index and of comparing with it."""
    with tempfile.TemporaryDirectory() as folder:
        for archive in sorted(advisories.glob("*.jsonl.xz")):
            (Path(folder) / archive.stem).write_bytes(lzma.decompress(archive.read_bytes()))
        (Path(folder) / "kev.json").write_bytes((advisories / "kev.json").read_bytes())
        (Path(folder) / "debian-tracker.json").write_text(json.dumps(tracker(random.Random(1))), encoding="utf-8")
        installed = Path(folder) / "inventory.json.txt"
        installed.write_text(json.dumps(inventory(advisories)), encoding="utf-8")
        made = subprocess.run([ours, "index", folder, RUNS], check=True, capture_output=True, text=True).stdout
        matched = subprocess.run([ours, "match", folder, str(installed), RUNS], check=True, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True).stderr
        once = subprocess.run(["/usr/bin/env", "time", "-f", "one process: %e s, %M KiB", ours, "match", folder, str(installed)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False).stderr
        return made.strip(), matched.strip(), once.strip()


def rows(_base):
    """Rows of run.sh: making an index, and comparing 600 packages with it."""
    from measuring import PIPE, ROWS, wanted

    if not wanted("advisories"):
        return
    ours = Path(PIPE).parent / "examples" / "advisories"
    if not ours.is_file() or not ADVISORIES.is_dir():
        print(f"advisories: not measured, since {ours if ADVISORIES.is_dir() else ADVISORIES} is not there", file=sys.stderr)
        return
    made, matched, _ = measured(str(ours), ADVISORIES)
    for name, target, text, what in (("advisories: index", "≤ 3 s", made, "index made in"),
                                     ("advisories: 600 packages", "≤ 10 ms", matched, "compared in")):
        found = re.search(what + r" (\S+) \(median of \d+, fastest (\S+), slowest (\S+)\)", text)
        if not found:
            raise SystemExit(f"the program says something else: {text}")
        median, fastest, slowest = found.groups()
        row = [name, median, f"{fastest}–{slowest}", target, "", ""]
        print("  ".join(row), flush=True)
        ROWS.append(row)


if __name__ == "__main__":
    for line in measured(str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]) if len(sys.argv) > 2 else ADVISORIES):
        print(line)
