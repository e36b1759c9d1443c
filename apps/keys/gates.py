"""What of keys belongs to every plan, and why."""

from apps.governance.gates import EveryPlan

KEYS = EveryPlan(
    "without keys nobody could call, and ending one must always be possible; how many is a limit"
)
