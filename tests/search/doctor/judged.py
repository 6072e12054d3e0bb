"""What every finding has in common."""

from collections.abc import Iterable

from search.doctor.finding import Finding, Verdict


def verdicts(findings: Iterable[Finding]) -> list[Verdict]:
    """The verdicts, in order; a finding that is not fine must have a remedy, and a fine one none."""
    found = list(findings)
    assert all(bool(finding.remedy) == (finding.verdict is not Verdict.FINE) for finding in found)
    return [finding.verdict for finding in found]
