"""How long an index of advisories takes to make and an inventory to compare, on the size of the real ones.

Usage: advisories.py PATH_TO_ADVISORIES [FOLDER_OF_JSONL_XZ]
PATH_TO_ADVISORIES is the example `advisories` of the crate `scanners`, built with --release. To the real advisories it adds a
tracker of Debian that is made up, so that there are 45 thousand records and 130 thousand rows at least; the inventory has 495
packages of Debian and 105 of npm and PyPI. Each figure is the median of RUNS runs in one process.
"""

import json
import lzma
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = str(Path(sys.argv[1]).resolve())
SHARED = Path(os.environ.get("PIPE_CONFORMANCE", Path(__file__).resolve().parents[2] / "shared/conformance"))
ADVISORIES = Path(sys.argv[2]) if len(sys.argv) > 2 else SHARED / "advisories"
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


def inventory():
    """Packages of which the index has something to say, mostly in versions that are mended."""
    packages = []
    for number in range(495):
        packages.append({"ecosystem": "debian", "name": f"libmade-{number}", "version": "3.20.1-1+deb12u2",
                         "source": {"name": f"made-{number * 8}", "version": "3.20.1-1+deb12u2"}})
    names = set()
    for file, ecosystem in (("npm-swg", "npm"), ("pypi", "pypi")):
        with lzma.open(ADVISORIES / f"{file}.jsonl.xz", "rt", encoding="utf-8") as lines:
            for line in lines:
                names.add((ecosystem, json.loads(line)["affected"][0]["package"]["name"]))
    for ecosystem, name in random.Random(2).sample(sorted(names), 105):
        packages.append({"ecosystem": ecosystem, "name": name, "version": "2.1.0"})
    for package in packages:
        package["locations"] = [{"path": "somewhere"}]
    return {"target": "made", "os": {"id": "debian", "version": "12"}, "packages": packages}


with tempfile.TemporaryDirectory() as folder:
    for archive in sorted(ADVISORIES.glob("*.jsonl.xz")):
        (Path(folder) / archive.stem).write_bytes(lzma.decompress(archive.read_bytes()))
    (Path(folder) / "kev.json").write_bytes((ADVISORIES / "kev.json").read_bytes())
    (Path(folder) / "debian-tracker.json").write_text(json.dumps(tracker(random.Random(1))), encoding="utf-8")
    installed = Path(folder) / "inventory.json.txt"
    installed.write_text(json.dumps(inventory()), encoding="utf-8")
    subprocess.run([OURS, "index", folder, RUNS], check=True)
    subprocess.run([OURS, "match", folder, str(installed), RUNS], check=True, stdout=subprocess.DEVNULL)
    once = subprocess.run(["/usr/bin/env", "time", "-f", "one process: %e s, %M KiB", OURS, "match", folder, str(installed)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    print(once.stderr.strip())
