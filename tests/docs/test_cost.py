"""The arithmetic of the page on costs, and the measurements that it takes over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs import cost
from infra.settings import PROFILES, Settings
from tests.stand_ins.stack import Json


def test_what_the_benchmarks_write_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [
        {"": f"{mib} MiB: {name}", "s": seconds, "MiB read": read}
        for mib in ("64", "1024")
        for name, seconds, read in (
            ("repack, the first time", "2.00", "200.0"),
            ("download, usual script, upload", "8.00", "200.0"),
        )
    ]
    inits = [{"the handler's module makes": "our handler", "init, ms (median)": "250"}]
    for name, measured in (("s3", runs), ("cold_start", inits)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": "this", "measured": measured}))
    monkeypatch.setattr(cost, "RESULTS", tmp_path)
    assert cost.measured() == {"repack, MiB/s": 100.0, "usual script, MiB/s": 25.0, "cold start, s": 0.25}


def test_the_benchmarks_results_can_be_read() -> None:
    assert cost.measured().keys() == cost.FIGURES.keys()


def test_where_fargate_becomes_the_cheaper_one_both_cost_the_same() -> None:
    assert cost.on_lambda(cost.cheaper(), "arm64") == pytest.approx(cost.on_fargate(cost.cheaper(), "arm64"))
    assert cost.lambda_seconds(cost.faster()) == pytest.approx(cost.fargate_seconds(cost.faster()))


def test_the_default_border_is_where_fargate_becomes_the_cheaper_one() -> None:
    assert cost.SETTINGS.lambda_limit_gib == round(cost.cheaper() / 1024 + 0.5)


def test_in_a_hurry_lambda_takes_what_it_does_faster_than_fargate() -> None:
    fast = Settings.of_profile("fast")
    largest = fast.lambda_limit_gib * 1024
    assert cost.lambda_seconds(largest, fast) < cost.fargate_seconds(largest, fast)
    for mib in cost.SIZES.values():
        if mib <= largest:
            assert cost.lambda_seconds(mib, fast) <= cost.lambda_seconds(mib)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_largest_model_that_lambda_gets_ends_in_half_its_time(profile: str) -> None:
    of = Settings.of_profile(profile)
    assert cost.lambda_seconds(of.lambda_limit_gib * 1024, of) < cost.LAMBDA_ENDS / 2


def test_the_default_memory_is_the_least_that_waits_for_the_network() -> None:
    waiting = [memory for memory in cost.MEMORIES if cost.lambda_rate(memory) == cost.lambda_rate(memory, core=1e9)]
    assert min(waiting) == cost.SETTINGS.lambda_memory_mib


@pytest.mark.parametrize("mib", [1, 1 << 10, 1 << 18, 1 << 19, 1 << 20])
def test_a_network_is_never_faster_than_its_burst_nor_slower_than_its_baseline(mib: int) -> None:
    network = cost.Network(0.25, 4.5, 700, "")
    assert mib / (4.5 * cost.GBIT) <= network.takes(mib, 1e9) <= mib / (0.25 * cost.GBIT)
    assert network.takes(mib, 100) >= mib / 100
    assert network.takes(mib, 10) == pytest.approx(mib / 10), "slower than the baseline, it needs no credits"


def test_a_burst_ends() -> None:
    network = cost.Network(0.25, 4.5, 700, "")
    whole = 4.5 * cost.GBIT * 700
    assert network.takes(whole, 1e9) == pytest.approx(700)
    assert network.takes(whole + 1000, 1e9) == pytest.approx(700 + 1000 / (0.25 * cost.GBIT))


def test_each_alarm_has_its_price(template: Json) -> None:
    alarm = next(name for name, item in template["Resources"].items() if item["Type"] == "AWS::CloudWatch::Alarm")
    fewer = {name: item for name, item in template["Resources"].items() if name != alarm}
    assert (
        sum(cost.idle(template).values()) - sum(cost.idle({"Resources": fewer}).values()) >= cost.ALARM.dollars - 1e-9
    )
