"""What a repack costs, and what the deployed stack costs while nothing comes: cost.md.

Prices are public, times are this repository's own measurements, sizes and alarms are those of the stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Sequence

from infra.machine import FARGATE_SECONDS
from infra.settings import Settings
from lambda_fn.core.recipe import Copy, Literal
from lambda_fn.stores.s3 import parts, source

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"

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

SIZES = {"64 MiB": 64, "256 MiB": 256, "1 GiB": 1 << 10, "5 GiB": 5 << 10, "20 GiB": 20 << 10, "100 GiB": 100 << 10}
"""Of the archive, packed, in MiB."""
SETTINGS = Settings()

Json = dict[str, Any]

PAGE = """\
# Cost

US dollars for a thousand repacks. Bold is what the default stack uses; S3's requests and the state machine come on
top.

{repacks}
- **The times are measured, but not on AWS.** The repack reads and scans {repack:.0f} MiB of archive a second, the
  usual script (download, extract, gzip at level 9, upload) gets through {usual:.1f}: the largest model of
  [s3.md](../benchmarks/results/s3.md), where a stand-in for S3 shares two cores with both. The function starts in
  {starts:.1f} s ([cold_start.md](../benchmarks/results/cold_start.md)). Assumed is that a vCPU of Lambda, Fargate and
  SageMaker does as much, and that time grows in proportion to size.
- Assumed too: a task starts in {fargate_starts} s, billed. Not counted are SageMaker's start (minutes) and disk,
  logs, traces and events (cents a thousand), and the storage of the models.
- An archive that was scanned before is not scanned again: other hyperparameters cost what S3 needs to copy, the same
  ones only the plan.
- The function has {memory} MiB, one vCPU; the task {task_vcpu:g} vCPU and {task_gib:g} GiB.

## Where Lambda ends and Fargate begins

`lambda_limit_gib` is {limit}. Fargate is the cheaper one from {even:.1f} GiB on: it starts a minute later, and its
seconds cost less. But at {limit} GiB that saves {saved:.2f} dollars in a thousand, and Lambda answers the minute
earlier. What counts is that Lambda ends after {minutes} minutes: at the measured pace {limit} GiB take {seconds:.0f} s,
{share:.0%} of them, which leaves room for slower days. An archive that does not end in time is handed to Fargate,
where it has {hours} hours, and has cost both.

## While nothing comes

US dollars a month, where the free tier (ten alarm metrics, three dashboards, a million requests of SQS) is used up:

{idle}
The network has no NAT gateway, address or interface endpoint, no key is made, and buckets, functions, machines,
clusters and rules cost nothing by themselves. What is stored does: models, logs, and the task's image in ECR.

In use, each custom metric costs {metric:.2f} for a month of hours in which it reports: six, five more for each method
that occurs and one for each error.

## Prices

US dollars in {region}, without free tiers, taxes and discounts: what public sources said on {looked_up} that these
pages say. Prices change: see the page before you count on one.

{prices}
Made by `make docs`.
"""


def rate(contender: str) -> float:
    """The measured MiB of archive a second, from the largest model of benchmarks/results/s3.md."""
    rows = re.findall(rf"^\| (\d+) MiB: {contender} \|(.*)\|$", (RESULTS / "s3.md").read_text(), re.MULTILINE)
    _, largest = max(rows, key=lambda row: int(row[0]))
    seconds, _, _, _, read, *_ = (cell.strip() for cell in largest.split("|"))
    return float(read) / float(seconds)


def starts() -> float:
    """The function's measured cold start in seconds, which is billed."""
    found = re.search(r"^\| our handler \| (\d+) \|", (RESULTS / "cold_start.md").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1000


REPACK, USUAL = rate("repack, the first time"), rate("download, usual script, upload")


def on_lambda(mib: float, architecture: str) -> float:
    """Dollars of one repack, plan and cold start included."""
    gib = SETTINGS.lambda_memory_mib / 1024
    return (starts() + mib / REPACK) * gib * LAMBDA[architecture].dollars + 2 * INVOCATION.dollars


def on_fargate(mib: float, architecture: str) -> float:
    """Dollars of one repack, the task's start included."""
    memory = SETTINGS.task_memory_mib / 1024 * MEMORY[architecture].dollars
    hour = SETTINGS.task_cpu / 1024 * VCPU[architecture].dollars + memory + ADDRESS.dollars
    return (FARGATE_STARTS + mib / REPACK) / 3600 * hour


def around(mib: float) -> float:
    """Dollars of S3's requests and of the state machine."""
    size = int(mib) << 20
    graft = (Literal(bytes(500)), Copy(10, size - 8), Literal(bytes(8)))
    puts = len(parts.plan(graft, size, copies=True)) + 2
    gets = ceil(size / source.BLOCK) + LOOKS
    return gets * GET.dollars + puts * PUT.dollars + TRANSITIONS * TRANSITION.dollars


def on_sagemaker(mib: float) -> float:
    """Dollars of the usual script in a processing job."""
    return mib / USUAL / 3600 * PROCESSING.dollars


def even() -> float:
    """The MiB from which Fargate is the cheaper one; both grow in proportion, from unequal starts."""
    at_once = on_lambda(0, SETTINGS.architecture), on_fargate(0, SETTINGS.architecture)
    grown = on_lambda(1024, SETTINGS.architecture), on_fargate(1024, SETTINGS.architecture)
    return 1024 * (at_once[1] - at_once[0]) / ((grown[0] - at_once[0]) - (grown[1] - at_once[1]))


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
    limit = SETTINGS.lambda_limit_gib
    seconds = starts() + limit * 1024 / REPACK
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
        starts=starts(),
        fargate_starts=FARGATE_STARTS,
        memory=SETTINGS.lambda_memory_mib,
        task_vcpu=SETTINGS.task_cpu / 1024,
        task_gib=SETTINGS.task_memory_mib / 1024,
        limit=limit,
        even=even() / 1024,
        saved=1000 * (on_lambda(limit * 1024, SETTINGS.architecture) - on_fargate(limit * 1024, SETTINGS.architecture)),
        seconds=seconds,
        share=seconds / LAMBDA_ENDS,
        minutes=LAMBDA_ENDS // 60,
        hours=FARGATE_SECONDS // 3600,
        idle=_table(("what", "a month"), [*months, ("**all**", f"**{sum(costs.values()):.2f}**")]),
        metric=METRIC.dollars,
        region=REGION,
        looked_up=LOOKED_UP,
        prices=_table(("unit", "price", "page"), units),
    )


def _repacks() -> str:
    header = (
        *("model", "seconds", "Lambda, arm64", "Lambda, x86-64", "Fargate, arm64", "Fargate, x86-64"),
        *("S3 and machine", "SageMaker, minutes", "SageMaker"),
    )
    rows = []
    for name, mib in SIZES.items():
        seconds = starts() + mib / REPACK
        functions = [_thousand(on_lambda(mib, of)) if seconds < LAMBDA_ENDS else "too long" for of in LAMBDA]
        tasks = [_thousand(on_fargate(mib, of)) for of in VCPU]
        chosen = functions if mib <= SETTINGS.lambda_limit_gib * 1024 else tasks
        chosen[0] = f"**{chosen[0]}**"
        usual = (f"{mib / USUAL / 60:,.1f}", _thousand(on_sagemaker(mib)))
        rows.append((name, f"{seconds:,.0f}", *functions, *tasks, _thousand(around(mib)), *usual))
    return _table(header, rows)


def _thousand(dollars: float) -> str:
    return f"{1000 * dollars:,.2f}"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---", *["---:"] * (len(header) - 1)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
