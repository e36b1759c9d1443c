"""What is noted of the rules that a call is put to, for whoever asks why; the rules themselves stand once."""

from dataclasses import dataclass, field

from apps.governance.policies.decision import Finding


@dataclass(slots=True)
class Steps:
    """The rules in the order in which they were put. The last begun is the one that refuses, if a refusal comes."""

    begun: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def begin(self, rule: str, about: str = "") -> None:
        """A rule is about to be put; those before it passed."""
        self.begun.append((rule, about))
