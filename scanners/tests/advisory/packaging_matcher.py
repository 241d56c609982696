"""An independent matcher for the comparison with ours: every version that an advisory names, judged by PyPA's `packaging`.

Usage: packaging_matcher.py RECORDS.jsonl. Prints package, version and the advisories that apply, between tabs.
"""

import json
import sys
from collections import defaultdict
from functools import cache

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


@cache
def parsed(text):
    try:
        return Version(text)
    except InvalidVersion:
        return None


advisories = defaultdict(list)
versions = defaultdict(set)
for line in open(sys.argv[1], encoding="utf-8"):
    record = json.loads(line)
    if record.get("withdrawn"):
        continue
    for affected in record["affected"]:
        name = canonicalize_name(affected["package"]["name"])
        ranges = []
        for item in affected.get("ranges", []):
            if item["type"] != "ECOSYSTEM":
                continue
            start = None
            for event in item["events"]:
                if "introduced" in event:
                    start = event["introduced"]
                elif start is not None:
                    ranges.append((start, event.get("fixed"), event.get("last_affected")))
                    start = None
                for version in event.values():
                    versions[name].add(version)
            if start is not None:
                ranges.append((start, None, None))
        listed = affected.get("versions", [])
        versions[name] |= set(listed)
        advisories[name].append((record["id"], ranges, {parsed(text) for text in listed}))


def applies(version, ranges, listed):
    if version in listed:
        return True
    for start, fixed, last in ranges:
        first = None if start == "0" else parsed(start)
        if first is not None and version < first:
            continue
        if fixed is not None and version >= parsed(fixed):
            continue
        if last is not None and version > parsed(last):
            continue
        return True
    return False


for name in sorted(advisories):
    for text in sorted(versions[name]):
        version = parsed(text)
        # What is no version by PEP 440 cannot be judged by `packaging`; a zero is the beginning and no version.
        if version is None or text == "0":
            continue
        ids = sorted({id for id, ranges, listed in advisories[name] if applies(version, ranges, listed)})
        print(name, text, ",".join(ids), sep="\t")
