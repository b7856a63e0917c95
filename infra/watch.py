"""What people see: a dashboard, and an alarm for each thing that somebody must act on. docs/operate.md says how."""

from __future__ import annotations

from typing import Optional

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .doors import Doors
from .settings import Settings
from .worker import SERVICE

PERIOD = Duration.minutes(5)


class Watch(Construct):
    """`alarms` and `dashboard`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        function: lambda_.IFunction,
        machine: sfn.IStateMachine,
        batch: sfn.IStateMachine,
        doors: Doors,
        topic: Optional[sns.ITopic],
    ) -> None:
        super().__init__(scope, construct_id)
        self._namespace = settings.name
        uploads = _lying_in(doors.upload_letters)
        failures = _failures("repacks", machine)
        batches = _failures("batches", batch)
        throttles = function.metric_throttles(period=PERIOD)
        self.alarms = [
            self._alarm("RepacksFail", failures, 1, "A repack failed; its event and its execution say why."),
            self._alarm("BatchesFail", batches, 1, "A batch had more failed lines than it tolerates."),
            self._alarm("UploadLetters", uploads, 1, "The event of an upload never reached the state machine."),
            self._alarm("Throttles", throttles, 1, "Repacks have waited half an hour for the function.", periods=6),
        ]
        waiting = [throttles, uploads]
        if doors.callbacks is not None and doors.callback_letters is not None:
            letters = _lying_in(doors.callback_letters)
            oldest = doors.callbacks.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum")
            self.alarms += [
                self._alarm("CallbackLetters", letters, 1, "A callback step's message never reached the machine."),
                self._alarm("CallbacksWait", oldest, 900, "A callback step has waited 15 minutes for its start."),
            ]
            waiting += [letters, oldest]
        if topic is not None:
            for alarm in self.alarms:
                alarm.add_alarm_action(actions.SnsAction(topic))
                alarm.add_ok_action(actions.SnsAction(topic))
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.days(1))
        self.dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(self.alarms), width=24, height=3)
        )
        self.dashboard.add_widgets(
            _graph("Repacks by method", self._ours("Repacks", by="method")),
            _graph(
                "Bytes moved and saved", *(self._ours(name) for name in ("BytesRead", "BytesUploaded", "BytesCopied"))
            ),
            _graph("Seconds", self._ours("Seconds", statistic="p50"), self._ours("Seconds", statistic="p99")),
        )
        self.dashboard.add_widgets(
            _graph("Executions", machine.metric_succeeded(period=PERIOD), failures, batches),
            _graph("Errors by name", self._ours("Errors", by="error")),
            _graph("Waiting", *waiting),
        )

    def _alarm(
        self, name: str, metric: cloudwatch.IMetric, threshold: int, description: str, periods: int = 1
    ) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{description} See docs/operate.md.",
        )

    def _ours(self, name: str, *, by: str = "", statistic: str = "Sum") -> cloudwatch.IMetric:
        """A metric that the handler emits, whole or split by one more dimension."""
        if by:
            schema = f'{{"{self._namespace}",service,{by}}}'
            search = f"SEARCH('{schema} MetricName=\"{name}\" service=\"{SERVICE}\"', '{statistic}')"
            return cloudwatch.MathExpression(expression=search, using_metrics={}, label="", period=PERIOD)
        return cloudwatch.Metric(
            namespace=self._namespace,
            metric_name=name,
            dimensions_map={"service": SERVICE},
            statistic=statistic,
            label=name if statistic == "Sum" else f"{name} {statistic}",
            period=PERIOD,
        )


def _lying_in(queue: sqs.IQueue) -> cloudwatch.Metric:
    return queue.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum")


def _failures(what: str, machine: sfn.IStateMachine) -> cloudwatch.MathExpression:
    metrics = {f"{what}_failed": machine.metric_failed(), f"{what}_timed_out": machine.metric_timed_out()}
    return cloudwatch.MathExpression(
        expression=" + ".join(metrics), using_metrics=metrics, label=f"{what} failed", period=PERIOD
    )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6)
