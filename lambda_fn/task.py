"""The Fargate task: `python -m lambda_fn.task`, a Request without the Lambda's clock.

The Request comes as JSON in `REPACK_REQUEST` or as the only argument. With a state machine's `TASK_TOKEN` the Result,
flat, or the error's name goes there, and a heartbeat now and then while the work moves on.

| exit status | meaning                                                               |
|-------------|-----------------------------------------------------------------------|
| 0           | done                                                                  |
| 1           | refused: a mistake of the caller's, which trying again does not mend  |
| 2           | no request was given                                                  |
| 75          | failed, but may succeed when tried again                              |
| 143         | told to stop (SIGTERM), or nobody waits any more; nothing was left    |
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Mapping

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from . import deployed
from .contract import CALLER, PASSING, TOO_BIG, InvalidRequest, OutOfTime, RepackError
from .repacker import run
from .settings import Settings
from .telemetry import begin, finish, logger, tell

DONE, REFUSED, USAGE, TRY_AGAIN, STOPPED = 0, 1, 2, 75, 143

SECONDS_BETWEEN_BEATS = 30.0
NOBODY_WAITS = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")
SECONDS_TO_STOP = 10
"""Fargate kills a task 30 seconds after SIGTERM; these are for what is under way, the others for what it has begun."""
CAUSE = 32768
"""Characters that Step Functions takes."""


@dataclass
class Waiter:
    """The state machine that waits for this task; nobody without a token."""

    token: str | None
    client: Any = None
    beaten: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.token:
            self.client = get_session().create_client("stepfunctions")

    def beat(self, done: int, total: int) -> None:
        """A Progress: a log line and a heartbeat. From here and not from a thread, a work that hangs is noticed."""
        if time.monotonic() - self.beaten < SECONDS_BETWEEN_BEATS:
            return
        self.beaten = time.monotonic()
        logger.info("progress", done=done, total=total)
        if not self._say("send_task_heartbeat"):
            raise OutOfTime("the state machine does not wait for this task any more")

    def succeed(self, result: Mapping[str, Any]) -> None:
        self._say("send_task_success", output=json.dumps(result))

    def fail(self, name: str, cause: str) -> None:
        self._say("send_task_failure", error=name, cause=cause[:CAUSE])

    def _say(self, call: str, **arguments: str) -> bool:
        """False if nobody waits any more. That we could not be heard is no reason to stop the work."""
        if self.client is None:
            return True
        try:
            getattr(self.client, call)(taskToken=self.token, **arguments)
        except ClientError as error:
            logger.warning(f"{call}: {error}")
            return error.response["Error"]["Code"] not in NOBODY_WAITS
        except BotoCoreError as error:
            logger.warning(f"{call}: {error}")
        return True


class Forced(BaseException):
    """Not an Exception: botocore takes each of those inside a request for a fault of the network, and tries again."""


class Stop:
    """SIGTERM stops the work where it next reports progress, or by force where nothing moves for a while.

    Not at once: a request cut off in the middle may still be carried out, and nobody would know what it has begun.
    """

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGALRM, self._force)

    def check(self) -> None:
        """Raises OutOfTime if we were told to stop."""
        if self.asked:
            signal.alarm(0)  # what follows is the cleaning up
            raise OutOfTime("the task was told to stop; start it again")

    def _ask(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.asked = True
        signal.alarm(SECONDS_TO_STOP)

    def _force(self, number: int, frame: FrameType | None) -> None:
        raise Forced


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Carry the request out and answer; the exit status."""
    stop = Stop()
    waiter = Waiter(environ.get("TASK_TOKEN"))

    def progress(done: int, total: int) -> None:
        stop.check()
        waiter.beat(done, total)

    try:
        settings = Settings.from_environment(environ)
        s3 = settings.s3()
        given = arguments[0] if arguments else environ.get("REPACK_REQUEST")
        if given is None:
            print("give the request as JSON in REPACK_REQUEST or as the only argument", file=sys.stderr)
            waiter.fail(InvalidRequest.__name__, "the task was started without a request")
            return USAGE
        request = deployed.request(parsed(given))
        begin(request)
        result = run(request, s3=s3, limits=settings.limits, progress=progress)
        finish(result)
    except RepackError as error:
        return failed(error, waiter)
    except Forced:
        return failed(OutOfTime("the task was told to stop; start it again"), waiter)
    except Exception as error:
        waiter.fail(type(error).__name__, str(error))
        raise
    finally:
        signal.alarm(0)
    waiter.succeed(result.flat())
    return DONE


def failed(error: RepackError, waiter: Waiter) -> int:
    """Tell everyone; the exit status."""
    tell(error)
    waiter.fail(error.name, str(error))
    return {CALLER: REFUSED, PASSING: TRY_AGAIN, TOO_BIG: STOPPED}[error.category]


def parsed(given: str) -> Any:
    """The request's JSON. Raises InvalidRequest."""
    try:
        return json.loads(given)
    except ValueError as error:
        raise InvalidRequest(f"the request is not JSON: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
