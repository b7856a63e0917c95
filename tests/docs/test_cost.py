"""The arithmetic of the page on costs."""

from __future__ import annotations

import pytest

from docs import cost
from tests.stand_ins.stack import Json


def test_where_fargate_becomes_the_cheaper_one_both_cost_the_same() -> None:
    assert cost.on_lambda(cost.even(), "arm64") == pytest.approx(cost.on_fargate(cost.even(), "arm64"))
    assert cost.on_lambda(cost.even() * 2, "arm64") > cost.on_fargate(cost.even() * 2, "arm64")


def test_the_largest_model_that_lambda_gets_ends_in_half_its_time() -> None:
    assert cost.starts() + cost.SETTINGS.lambda_limit_gib * 1024 / cost.REPACK < cost.LAMBDA_ENDS / 2


def test_each_alarm_has_its_price(template: Json) -> None:
    alarm = next(name for name, item in template["Resources"].items() if item["Type"] == "AWS::CloudWatch::Alarm")
    fewer = {name: item for name, item in template["Resources"].items() if name != alarm}
    assert (
        sum(cost.idle(template).values()) - sum(cost.idle({"Resources": fewer}).values()) >= cost.ALARM.dollars - 1e-9
    )
