from dataclasses import replace
from pathlib import Path

from search.doctor.finding import Finding, Subject, Verdict
from search.doctor.storage import check_storage
from spaces.sections import Resources


def on(subject: Subject, storage: str | Path) -> list[Finding]:
    return list(check_storage(replace(subject, resources=Resources(storage=storage))))


def test_storage_is_tried_out_and_left_as_it_was(subject: Subject, tmp_path: Path):
    assert list(check_storage(subject)) == [], "none is named"
    shared = tmp_path / "shared"
    shared.mkdir()
    assert on(subject, shared) == [Finding("storage", Verdict.FINE, f"{shared} can be written and read from here")]
    assert list(shared.iterdir()) == []


def test_storage_that_cannot_be_written_is_named_with_the_remedy(subject: Subject, tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("not a folder")
    (found,) = on(subject, file)
    assert found.verdict is Verdict.MEND and str(file) in found.told and "resources.storage" in found.remedy
