"""The part of the spec that says how new pods take the place of old ones."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from fairlead_operator.api.fields import Model, rule, rules

#: Seconds that a surge gets to find room unless the spec says otherwise; in the operator rather than in the schema, since the field belongs to one strategy.
DEFAULT_SURGE_WAIT_SECONDS: Final = 60


class Strategy(StrEnum):
    """Whether a new pod comes before an old one goes."""

    AUTO = "Auto"
    SURGE = "Surge"
    REPLACE = "Replace"


class OnFailure(StrEnum):
    """What becomes of a rollout whose new pods fail."""

    HOLD = "Hold"
    RESTORE = "Restore"


class Rollout(Model):
    """How new pods take the place of old ones when the spec changes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.surgeWaitSeconds) || self.strategy == 'Auto'",
                "surgeWaitSeconds applies to strategy Auto only: remove it, or set strategy to Auto",
                ".surgeWaitSeconds",
            )
        )
    )

    strategy: Strategy = Strategy.AUTO
    """Surge makes a new pod before an old one goes, which takes one more set of accelerators; where there is none, it waits for one. Replace takes an old pod away first: one replica less serves meanwhile, and with a single replica none does. Auto surges where room is found for one more pod, and replaces where it is not."""
    surge_wait_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Seconds that strategy Auto looks for room for one more pod before it replaces one by one. Defaults to 60."""
    on_failure: OnFailure | None = None
    """What happens when the new pods fail. Hold leaves them for a look while the old pods left go on serving; Restore brings the former pods back and tries again with the next change of the spec. Defaults to Hold where the rollout surges, and to Restore where it replaces."""
