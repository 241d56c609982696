"""What actions cost: steps of a composite, a start in JavaScript, one that is kept already, and many small jobs at once.

Single steps are measured by the times of their events, in one job with what they are held against. Beside act, which tells no
times that fine, by the difference of two jobs that are alike but for the number of their steps.
"""

import json
import os
import statistics
from datetime import datetime

from measuring import ACT, IMAGE, PIPE, attempt, compare, repository, run, wanted

# An image with Node.js, since act takes that of the image.
NODE_IMAGE = os.environ.get("BENCH_NODE_IMAGE", "node:20-bookworm-slim")
COMPOSITE_STEPS, CALLS = 20, 5
STARTS = 20
LEGS = 200


def job(steps, more=""):
    return f"on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n{more}    steps:\n{steps}"


def uses(action, count):
    return f"      - uses: {action}\n" * count


def own(action, count):
    """An action of the repository, which has to be checked out."""
    return uses("actions/checkout@v4", 1) + uses(f"./{action}", count)


def composite(count):
    return "name: c\nruns:\n  using: composite\n  steps:\n" + "    - {run: 'true', shell: bash}\n" * count


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def ours(folder, image, workflow, *more):
    return run([PIPE, "run", "push", "-W", f".github/workflows/{workflow}", "-P", f"ubuntu-latest={image}", *more], cwd=folder)


def act(folder, image, workflow):
    return run([ACT, "push", "-W", f".github/workflows/{workflow}", "-P", f"ubuntu-latest={image}", "--pull=false", "--rm"], cwd=folder)


def events(text, kind):
    """Events of a kind, with their times in seconds."""
    for line in text.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("type") == kind:
            yield datetime.fromisoformat(event["at"]).timestamp(), event


def durations(text):
    """How long each step of the only job took, by its name: from its start to that of the next one."""
    begun = [(at, event["name"]) for at, event in events(text, "step_started")]
    found = {}
    for (at, name), (after, _) in zip(begun, begun[1:]):
        found.setdefault(name, []).append(after - at)
    return found


def said(text):
    """Seconds of what a job itself has timed."""
    words = [event["text"].split() for _, event in events(text, "log") if event["text"].startswith("took ")]
    return [float(end) - float(begin) for _, begin, end in words]


BASH = """      - name: alone
        shell: bash
        run: a=$EPOCHREALTIME; for i in $(seq 20); do bash --noprofile --norc -e -o pipefail true.sh; done; echo "took $a $EPOCHREALTIME"
"""


def composites(base):
    """Calls of an action of twenty steps and of one of one step in turn, in one job; beside the shells alone that they start."""
    if not wanted("composite-step", "composite-step-act"):
        return
    folder = base / "composite"
    write(folder, {"many/action.yml": composite(COMPOSITE_STEPS), "one/action.yml": composite(1), "true.sh": "true\n"})
    repository(folder, {f"{name}.yml": job(own(name, CALLS)) for name in ("many", "one")} | {
        "both.yml": job(uses("actions/checkout@v4", 1) + (uses("./many", 1) + uses("./one", 1) + BASH) * CALLS + "      - run: 'true'\n")})

    alone = []

    def mine():
        text = ours(folder, IMAGE, "both.yml", "--json")[2]
        took, shells = durations(text), said(text)
        many, one = took["Run ./many"], took["Run ./one"]
        if len(many) != CALLS or len(one) != CALLS:
            raise SystemExit(f"{len(many)} and {len(one)} calls instead of {CALLS}")
        alone.append(statistics.median(shells) / 20)
        return (statistics.median(many) - statistics.median(one)) / (COMPOSITE_STEPS - 1)

    extra = lambda engine: lambda: (engine(folder, IMAGE, "many.yml")[0] - engine(folder, IMAGE, "one.yml")[0]) / (CALLS * (COMPOSITE_STEPS - 1))
    compare("composite-step", "≤ 3 ms", mine, lambda: alone[-1], "bash alone", unit="ms", scale=1000, runs=7)
    if ACT and wanted("composite-step-act") and (rival := attempt("composite-step-act", extra(act))):
        compare("composite-step-act", "", extra(ours), rival, "act", unit="ms", scale=1000, runs=3, warm=False)


# Says by which Node.js actions run.
WHICH = "require('fs').appendFileSync(process.env.GITHUB_ENV, `NODE=${process.execPath}\\n`);\n"
ALONE = """      - name: alone
        shell: bash
        run: for i in 1 2 3 4 5; do a=$EPOCHREALTIME; "$NODE" js/main.js; echo "took $a $EPOCHREALTIME"; done
"""


def starts(base):
    """An action in JavaScript that does nothing, in turn with Node.js alone that runs its file in the same job."""
    if not wanted("js-action", "js-action-extra", "js-action-act"):
        return
    folder = base / "javascript"
    action = "name: j\nruns:\n  using: node20\n  main: main.js\n"
    write(folder, {"js/action.yml": action, "js/main.js": "process.exitCode = 0;\n", "which/action.yml": action, "which/main.js": WHICH})
    repository(folder, {"many.yml": job(own("js", STARTS + 1)), "one.yml": job(own("js", 1)),
                        "both.yml": job(own("which", 1) + (uses("./js", 5) + ALONE) * (STARTS // 5))})
    pairs = []

    def both():
        text = ours(folder, NODE_IMAGE, "both.yml", "--json")[2]
        took = durations(text)["Run ./js"]
        alone = said(text)
        if len(took) != STARTS or len(alone) != STARTS:
            raise SystemExit(f"{len(took)} and {len(alone)} starts instead of {STARTS}:\n{text[-2000:]}")
        pairs.append((statistics.median(took), statistics.median(alone)))
        return pairs[-1][0] - pairs[-1][1]

    compare("js-action-extra", "≤ 10 ms more than node", both, unit="ms", scale=1000, runs=7)
    if pairs:
        mine, alone = (iter([pair[index] for pair in pairs[-7:]]) for index in (0, 1))
        compare("js-action", "", lambda: next(mine), lambda: next(alone), "node alone", unit="ms", scale=1000, runs=7, warm=False)
    extra = lambda engine: lambda: (engine(folder, NODE_IMAGE, "many.yml")[0] - engine(folder, NODE_IMAGE, "one.yml")[0]) / STARTS
    if ACT and wanted("js-action-act") and (rival := attempt("js-action-act", extra(act))):
        compare("js-action-act", "", extra(ours), rival, "act", unit="ms", scale=1000, runs=3, warm=False)


def first_step(text):
    """Seconds from the start of a job to its first step."""
    begun = [at for at, _ in events(text, "job_run_started")]
    steps = [at for at, _ in events(text, "step_started")]
    if not steps:
        raise SystemExit(f"no step began:\n{text[-2000:]}")
    return steps[0] - begun[0]


def stored(base):
    """An action of another repository that was fetched before, from the start of its job to its first step; beside a job that has
    none. On this machine itself that is the whole of it; in a container the start of that comes first."""
    if not wanted("action-stored", "action-stored-docker"):
        return
    served = base / "server/bench/stored"
    write(served, {"action.yml": "name: j\nruns:\n  using: node20\n  main: main.js\n", "main.js": "process.exitCode = 0;\n"})
    repository(served, {})
    run(["git", "tag", "v1"], cwd=served)
    folder = repository(base / "stored", {"one.yml": job(uses("bench/stored@v1", 1)), "run.yml": job("      - run: 'true'\n")})
    first = lambda workflow, *more: lambda: first_step(
        ours(folder, IMAGE, workflow, "--json", "--actions-server", str(base / "server"), *more)[2])
    compare("action-stored", "≤ 20 ms", first("one.yml", "--host"), first("run.yml", "--host"), "no action", unit="ms", scale=1000, runs=15)
    compare("action-stored-docker", "", first("one.yml"), first("run.yml"), "no action", unit="ms", scale=1000, runs=15)


def legs(base):
    """Two hundred jobs of nothing, as many at once as there are processors, beside as many containers."""
    if not wanted("matrix-200", "matrix-200-act"):
        return
    numbers = ", ".join(map(str, range(LEGS)))
    folder = repository(base / "legs", {"legs.yml": job("      - run: 'true'\n", f"    strategy:\n      matrix:\n        n: [{numbers}]\n")})
    many = f"seq {LEGS} | xargs -P {os.cpu_count()} -I% docker run --rm {IMAGE} true"

    def mine():
        wall, _, text = ours(folder, IMAGE, "legs.yml", "--json")
        done = sum('"type":"job_run_finished"' in line and '"conclusion":"success"' in line for line in text.splitlines())
        if done != LEGS:
            raise SystemExit(f"{done} of {LEGS} legs succeeded")
        return wall

    compare("matrix-200", "≤ 2.5 × docker run", mine, lambda: run(["sh", "-c", many])[0], "docker run", runs=2, warm=False)
    if ACT and wanted("matrix-200-act"):
        compare("matrix-200-act", "", mine, lambda: act(folder, IMAGE, "legs.yml")[0], "act", runs=1, warm=False)


def rows(base):
    for part in (composites, starts, stored, legs):
        part(base)
