"""What a repack costs, and what the deployed stack costs while nothing comes: cost.md.

Prices and networks are public figures, times are this repository's own measurements, sizes and alarms are those of the
stack. What the benchmarks have written is copied to cost.json by `python -m docs.cost`, and the page is made of that: a
new measurement changes the page when the page is made, not before.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Sequence

from infra.machine import FARGATE_SECONDS
from infra.settings import PROFILES, Settings
from lambda_fn.core.recipe import Copy, Literal
from lambda_fn.stores.s3 import parts, source

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results"
MEASURED = HERE / "cost.json"

REGION, LOOKED_UP = "us-east-1", "2026-11-24"


@dataclass(frozen=True)
class Price:
    """Of one unit, in US dollars."""

    unit: str
    dollars: float
    page: str


LAMBDA = {
    "arm64": Price("Lambda, GB-second, arm64", 0.0000133334, "lambda/pricing"),
    "x86_64": Price("Lambda, GB-second, x86-64", 0.0000166667, "lambda/pricing"),
}
VCPU = {
    "arm64": Price("Fargate, vCPU-hour, arm64", 0.03238, "fargate/pricing"),
    "x86_64": Price("Fargate, vCPU-hour, x86-64", 0.04048, "fargate/pricing"),
}
MEMORY = {
    "arm64": Price("Fargate, GB-hour, arm64", 0.00356, "fargate/pricing"),
    "x86_64": Price("Fargate, GB-hour, x86-64", 0.004445, "fargate/pricing"),
}
INVOCATION = Price("Lambda, invocation", 0.0000002, "lambda/pricing")
ADDRESS = Price("public IPv4 address, hour", 0.005, "vpc/pricing")
GET = Price("S3, GET or HEAD", 0.0000004, "s3/pricing")
PUT = Price("S3, PUT, COPY, POST or LIST", 0.000005, "s3/pricing")
TRANSITION = Price("Step Functions, transition", 0.000025, "step-functions/pricing")
PROCESSING = Price("SageMaker processing, ml.m5.xlarge, hour", 0.23, "sagemaker/pricing")
ALARM = Price("CloudWatch, metric of an alarm, month", 0.10, "cloudwatch/pricing")
DASHBOARD = Price("CloudWatch, dashboard, month", 3.00, "cloudwatch/pricing")
METRIC = Price("CloudWatch, custom metric, month", 0.30, "cloudwatch/pricing")
MESSAGE = Price("SQS, request", 0.0000004, "sqs/pricing")
PRICES = (
    *(*LAMBDA.values(), INVOCATION, *VCPU.values(), *MEMORY.values(), ADDRESS, GET, PUT, TRANSITION),
    *(PROCESSING, ALARM, DASHBOARD, METRIC, MESSAGE),
)

TRANSITIONS = 8
"""States of an upload's way through the machine."""
LOOKS = 16
"""HEADs and small reads of a plan and a repack, at most."""
LAMBDA_ENDS = 15 * 60
FARGATE_STARTS = 60
"""Assumed: seconds from the image's pull, which is billed, to the first line of code. A minute is the least billed."""
POLLS = 5 * 3 * 60 * 24 * 30
"""Assumed: an idle pipe asks its queue with five readers, each three times a minute."""
VCPU_MIB = 1769
"""A function's memory that comes with one vCPU."""

GBIT = 1e9 / 8 / (1 << 20)
"""MiB in a Gbit."""
BENCHMARK = "github.com/sjakthol/aws-network-benchmark"


@dataclass(frozen=True)
class Network:
    """What a machine is given: so many Gbit/s for good, and more for so many seconds while its credits last."""

    baseline: float
    burst: float
    seconds: float
    source: str

    def takes(self, mib: float, rate: float) -> float:
        """Seconds for an archive that is worked off at most so many MiB a second."""
        slow, fast = self.baseline * GBIT, min(rate, self.burst * GBIT)
        if fast <= slow:
            return mib / fast
        lasts = (self.burst - self.baseline) * GBIT * self.seconds / (fast - slow)
        quick = min(mib, lasts * fast)
        return quick / fast + (mib - quick) / slow


def lambda_network(memory: int) -> Network:
    """Of a function outside a VPC, as ours is: the same at every size, since August 2026 more above 2 GB."""
    if memory <= 2048:
        return Network(0.6, 0.6, 0, f"{BENCHMARK}, 2024")
    more = 0.625 + (memory / 1024 - 2) * (3.0 - 0.625) / 8
    return Network(more, more, 0, "AWS's announcement of 2026-08: 625 Mbit/s at 2 GB to 3,000 at 10 GB, in proportion")


FARGATE_NETWORK = {
    (1024, 2048): Network(0.254, 4.577, 730, f"{BENCHMARK}, 2020"),
    (2048, 4096): Network(0.744, 9.720, 340, f"{BENCHMARK}, 2020"),
}
"""CPU units and MiB of a task → its network, of the sizes that the profiles have."""

SIZES = {
    "64 MiB": 64,
    "256 MiB": 256,
    "1 GiB": 1 << 10,
    "5 GiB": 5 << 10,
    "20 GiB": 20 << 10,
    "100 GiB": 100 << 10,
    "1 TiB": 1 << 20,
}
"""Of the archive, packed, in MiB."""
MEMORIES = (512, 1024, 1280, VCPU_MIB, 2 * VCPU_MIB, 10240)
"""Of a function, to choose from."""
SETTINGS = Settings()

Json = dict[str, Any]

PAGE = """\
# Cost

US dollars for a thousand repacks. Bold is what the default stack uses; S3's requests and the state machine come on
top.

{repacks}
- **The times are computed, and were not taken on AWS.** A scan waits for the core that inflates or for the network,
  whichever is slower. The core gets through {repack:.0f} MiB of archive a second, the usual script (download,
  extract, gzip at level 9, upload) through {usual:.1f}: the largest model of [s3.md](../benchmarks/results/s3.md),
  measured on x86-64, where a stand-in for S3 shares two cores with both. **On arm64 nothing was measured**: its
  prices stand beside times of x86-64. The function starts in {starts:.1f} s
  ([cold_start.md](../benchmarks/results/cold_start.md)). That a vCPU of Lambda, Fargate and SageMaker does as much,
  and a part of one its part, is assumed; what a second core brings is not counted.
- The networks are public figures, with their sources [below](#networks): the function's is narrower than its core,
  the task's is wider while its burst lasts, which is for {burst:.0f} GiB. Beyond that the task has a quarter of a
  Gbit/s, and its {hours} hours end at {most:.1f} TiB. What is copied inside S3 counts in neither.
- Assumed too: a task starts in {fargate_starts} s, billed. Not counted are SageMaker's start (minutes), network and
  disk, logs, traces and events (cents a thousand), and the storage of the models.
- An archive that was scanned before is not scanned again: other hyperparameters cost what S3 needs to copy, the same
  ones only the plan.

## How much memory

A function is billed by memory and time. More memory brings more of a core until the network is what a scan waits for,
and from there on only costs. `lambda_memory_mib` is {memory}: the least of these sizes where an archive waits for the
network and a slower core than ours still keeps up with it.

{memories}
## In a hurry

`-c repacker:profile=fast` takes {fast_memory} MiB for the function, whose network is wider from 2 GB on, two vCPUs
for the task, and lets Lambda take up to {fast_limit} GiB, for the minute that a task needs to start. Beyond that size
the core is what a scan waits for, as far as this page knows: a second one helps, and is not in these figures.

{profiles}
## Where Lambda ends and Fargate begins

`lambda_limit_gib` is {limit}. Fargate is the cheaper one from {even:.1f} GiB on: it starts a minute later, its
network is wider and its seconds cost less. It is the faster one, too, from {faster:.1f} GiB on. And Lambda ends after
{minutes} minutes: {limit} GiB take {seconds:.0f} s, {share:.0%} of them, which leaves room for slower days. An
archive that does not end in time is handed to Fargate, where it has {hours} hours, and has cost both.

## While nothing comes

US dollars a month, where the free tier (ten alarm metrics, three dashboards, a million requests of SQS) is used up:

{idle}
The network has no NAT gateway, address or interface endpoint, no key is made, and buckets, functions,
machines, clusters and rules cost nothing by themselves. What is stored does: models and their old versions, logs, and
the task's image in ECR.

In use, each custom metric costs {metric:.2f} for a month of hours in which it reports: six, five more for each method
that occurs and one for each error.

## Networks

{networks}
## Prices

US dollars in {region}, without free tiers, taxes and discounts: what public sources said on {looked_up} that these
pages say. Prices change: see the page before you count on one.

{prices}
Made by `make docs`.
"""


def main() -> int:
    """Take over what was measured; the exit status."""
    MEASURED.write_text(json.dumps(measured(), indent=1) + "\n")
    return 0


def measured() -> Json:
    """From the benchmarks: MiB of archive a second, of the largest model, and the function's cold start."""
    runs = json.loads((RESULTS / "s3.json").read_text())["measured"]
    largest = max((run[""] for run in runs), key=lambda name: int(name.split()[0])).partition(":")[0]
    found = {run[""].removeprefix(f"{largest}: "): float(run["MiB read"]) / float(run["s"]) for run in runs}
    inits = json.loads((RESULTS / "cold_start.json").read_text())["measured"]
    (ours,) = (run["init, ms (median)"] for run in inits if "our handler" in run.values())
    return {
        "repack, MiB/s": round(found["repack, the first time"], 2),
        "usual script, MiB/s": round(found["download, usual script, upload"], 2),
        "cold start, s": int(ours) / 1000,
    }


FIGURES = json.loads(MEASURED.read_text()) if MEASURED.exists() else measured()
REPACK: float = FIGURES["repack, MiB/s"]
USUAL: float = FIGURES["usual script, MiB/s"]
STARTS: float = FIGURES["cold start, s"]


def lambda_rate(memory: int, core: float = REPACK) -> float:
    """MiB of archive a second: of the part of a core that comes with the memory, or of the network."""
    return min(core * min(1, memory / VCPU_MIB), lambda_network(memory).baseline * GBIT)


def lambda_seconds(mib: float, settings: Settings = SETTINGS) -> float:
    """Of one repack, the cold start included."""
    return STARTS + mib / lambda_rate(settings.lambda_memory_mib)


def fargate_seconds(mib: float, settings: Settings = SETTINGS) -> float:
    """Of one repack, the task's start included."""
    network = FARGATE_NETWORK[settings.task_cpu, settings.task_memory_mib]
    return FARGATE_STARTS + network.takes(mib, REPACK * min(1, settings.task_cpu / 1024))


def on_lambda(mib: float, architecture: str, settings: Settings = SETTINGS) -> float:
    """Dollars of one repack, plan and cold start included."""
    gib = settings.lambda_memory_mib / 1024
    return lambda_seconds(mib, settings) * gib * LAMBDA[architecture].dollars + 2 * INVOCATION.dollars


def on_fargate(mib: float, architecture: str, settings: Settings = SETTINGS) -> float:
    """Dollars of one repack, the task's start included."""
    memory = settings.task_memory_mib / 1024 * MEMORY[architecture].dollars
    hour = settings.task_cpu / 1024 * VCPU[architecture].dollars + memory + ADDRESS.dollars
    return fargate_seconds(mib, settings) / 3600 * hour


def around(mib: float) -> float:
    """Dollars of S3's requests and of the state machine."""
    size = int(mib) << 20
    graft = (Literal(bytes(500)), Copy(10, size - 8), Literal(bytes(8)))
    shape = parts.shape(graft, size, copies=True)
    copies = len(list(parts.split(graft[1], shape.copy)))
    puts = 1 + copies + 1 + 2  # the new front, the copies, the trailer; an upload begun and completed
    gets = ceil(size / source.BLOCK) + LOOKS
    return gets * GET.dollars + puts * PUT.dollars + TRANSITIONS * TRANSITION.dollars


def on_sagemaker(mib: float) -> float:
    """Dollars of the usual script in a processing job."""
    return mib / USUAL / 3600 * PROCESSING.dollars


def crossing(lambdas: tuple[float, float], fargates: tuple[float, float]) -> float:
    """The MiB from which Fargate is ahead, given what both take for nothing and for a GiB; both grow in proportion."""
    return 1024 * (fargates[0] - lambdas[0]) / ((lambdas[1] - lambdas[0]) - (fargates[1] - fargates[0]))


def cheaper() -> float:
    """The MiB from which Fargate costs less."""
    of = SETTINGS.architecture
    return crossing((on_lambda(0, of), on_lambda(1024, of)), (on_fargate(0, of), on_fargate(1024, of)))


def faster() -> float:
    """The MiB from which Fargate takes less time."""
    return crossing((lambda_seconds(0), lambda_seconds(1024)), (fargate_seconds(0), fargate_seconds(1024)))


def most() -> float:
    """The TiB that a task gets through in its time."""
    network = FARGATE_NETWORK[SETTINGS.task_cpu, SETTINGS.task_memory_mib]
    slow = network.baseline * GBIT
    quick = burst()
    return (quick + (FARGATE_SECONDS - FARGATE_STARTS - quick / REPACK) * slow) / (1 << 20)


def burst() -> float:
    """The MiB that a task gets through before its network is down to its baseline."""
    network = FARGATE_NETWORK[SETTINGS.task_cpu, SETTINGS.task_memory_mib]
    return (network.burst - network.baseline) * GBIT * network.seconds / (REPACK - network.baseline * GBIT) * REPACK


def idle(template: Json) -> dict[str, float]:
    """Dollars a month by what is there, without a single upload and beyond the free tier."""
    found: dict[str, list[Json]] = {}
    for resource in template["Resources"].values():
        found.setdefault(resource["Type"], []).append(resource["Properties"])
    alarms = found["AWS::CloudWatch::Alarm"]
    metrics = sum(sum("MetricStat" in item for item in alarm.get("Metrics", [])) or 1 for alarm in alarms)
    dashboards, pipes = len(found["AWS::CloudWatch::Dashboard"]), len(found["AWS::Pipes::Pipe"])
    return {
        f"{len(alarms)} alarms on {metrics} metrics": metrics * ALARM.dollars,
        f"{dashboards} dashboard": dashboards * DASHBOARD.dollars,
        f"{pipes} pipe that asks its queue": pipes * POLLS * MESSAGE.dollars,
    }


def page(template: Json) -> str:
    """The Markdown page."""
    limit, fast = SETTINGS.lambda_limit_gib, Settings.of_profile("fast")
    seconds = lambda_seconds(limit * 1024)
    costs = idle(template)
    months = [(name, f"{dollars:.2f}") for name, dollars in costs.items()]
    units = [
        (price.unit, f"{price.dollars:.10f}".rstrip("0").rstrip("."), f"aws.amazon.com/{price.page}")
        for price in PRICES
    ]
    return PAGE.format(
        repacks=_repacks(),
        repack=REPACK,
        usual=USUAL,
        starts=STARTS,
        fargate_starts=FARGATE_STARTS,
        burst=burst() / 1024,
        most=most(),
        memory=SETTINGS.lambda_memory_mib,
        memories=_memories(),
        fast_memory=fast.lambda_memory_mib,
        fast_limit=fast.lambda_limit_gib,
        profiles=_profiles(),
        limit=limit,
        even=cheaper() / 1024,
        faster=faster() / 1024,
        seconds=seconds,
        share=seconds / LAMBDA_ENDS,
        minutes=LAMBDA_ENDS // 60,
        hours=FARGATE_SECONDS // 3600,
        idle=_table(("what", "a month"), [*months, ("**all**", f"**{sum(costs.values()):.2f}**")]),
        metric=METRIC.dollars,
        networks=_networks(),
        region=REGION,
        looked_up=LOOKED_UP,
        prices=_table(("unit", "price", "page"), units),
    )


def _repacks() -> str:
    header = (
        *("model", "Lambda, s", "arm64", "x86-64", "Fargate, s", "arm64", "x86-64"),
        *("S3 and machine", "SageMaker, minutes", "SageMaker"),
    )
    rows = []
    for name, mib in SIZES.items():
        function, task = lambda_seconds(mib), fargate_seconds(mib)
        functions = [_thousand(on_lambda(mib, of)) if function < LAMBDA_ENDS else "too long" for of in LAMBDA]
        tasks = [_thousand(on_fargate(mib, of)) for of in VCPU]
        chosen = functions if mib <= SETTINGS.lambda_limit_gib * 1024 else tasks
        chosen[0] = f"**{chosen[0]}**"
        usual = (f"{mib / USUAL / 60:,.1f}", _thousand(on_sagemaker(mib)))
        rows.append((name, f"{function:,.0f}", *functions, f"{task:,.0f}", *tasks, _thousand(around(mib)), *usual))
    return _table(header, rows)


def _memories() -> str:
    rows = []
    for memory in MEMORIES:
        of = Settings(lambda_memory_mib=memory)
        waits = "the network" if lambda_rate(memory, core=1e9) == lambda_rate(memory) else "the core"
        name = f"**{memory}**" if memory == SETTINGS.lambda_memory_mib else str(memory)
        costs = (_thousand(on_lambda(1024, "arm64", of)), _thousand(on_lambda(1024, "x86_64", of)))
        rows.append((name, waits, f"{lambda_rate(memory):.0f}", f"{lambda_seconds(1024, of):.0f}", *costs))
    return _table(("MiB", "waits for", "MiB/s", "1 GiB, s", "arm64", "x86-64"), rows)


def _profiles() -> str:
    rows = []
    for name in PROFILES:
        of = Settings.of_profile(name)
        for size in ("1 GiB", "5 GiB", "20 GiB"):
            small = SIZES[size] <= of.lambda_limit_gib * 1024
            seconds = lambda_seconds(SIZES[size], of) if small else fargate_seconds(SIZES[size], of)
            dollars = on_lambda(SIZES[size], "arm64", of) if small else on_fargate(SIZES[size], "arm64", of)
            rows.append((name, size, "Lambda" if small else "Fargate", f"{seconds:.0f}", _thousand(dollars)))
    return _table(("profile", "model", "runs on", "s", "arm64, a thousand"), rows)


def _networks() -> str:
    rows = [
        (f"Lambda, {memory} MiB", f"{of.baseline:.3g}", "", "", of.source)
        for memory in (SETTINGS.lambda_memory_mib, Settings.of_profile("fast").lambda_memory_mib, 10240)
        for of in (lambda_network(memory),)
    ]
    rows += [
        (
            f"Fargate, {cpu / 1024:g} vCPU, {mib} MiB",
            f"{of.baseline:.3g}",
            f"{of.burst:.3g}",
            f"{of.seconds:g}",
            of.source,
        )
        for (cpu, mib), of in FARGATE_NETWORK.items()
    ]
    return _table(("machine", "Gbit/s", "in a burst", "of s", "source"), rows)


def _thousand(dollars: float) -> str:
    return f"{1000 * dollars:,.2f}"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---", *["---:"] * (len(header) - 1)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
