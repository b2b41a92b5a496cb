"""What made the scores of detectors that are none of noisybench's: origin, digest of the code, and what it is said to use.

Two scores of one name that differ in it are of two detectors: no table averages them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

from noisybench.detection.scoring import Detector, Information, scores_path
from noisybench.ground.digests import function_digest
from noisybench.ground.files import read_metadata
from noisybench.ground.lookup import find, is_ours, origin
from noisybench.runs.record import RunRecord


def made_by(spec: str) -> dict[str, str]:
    """Origin, digest of the code and declared information of a detector, by what the catalog finds it by.

    Nothing of noisybench's own.
    """
    if is_ours("detectors", spec):
        return {}
    detector: Detector = find("detectors", spec)
    where = origin("detectors", spec)
    what = [where, *detector.needs, str(detector.control), function_digest(detector.score)]
    what += [] if detector.suggest is None else [function_digest(detector.suggest)]
    declared = sorted({*getattr(detector, "information", ())} - {"unknown"})
    what += declared
    code = hashlib.sha256("\n".join(what).encode(errors="surrogatepass")).hexdigest()
    return {"origin": where, "code": code, **({"information": ",".join(declared)} if declared else {})}


def is_made_by(path: Path, spec: str) -> bool:
    """Whether a file of scores was made by what is found by that name now: other packages may have another version."""
    return is_ours("detectors", spec) or read_metadata(path).get("code") == made_by(spec)["code"]


def codes_in(folder: Path, detectors: Mapping[str, str]) -> dict[str, str] | None:
    """Detector → digest of the code that made its scores, as the files of a run say; None where noisybench's own made all.

    Args:
        folder: Of the run.
        detectors: Name of each → what the catalog finds it by.
    """
    names = [name for name, spec in detectors.items() if not is_ours("detectors", spec)]
    told = {name: read_metadata(scores_path(folder, name)).get("code", "") for name in names}
    return {name: code for name, code in told.items() if code} or None


def information_in(folder: Path, detectors: Mapping[str, str]) -> dict[str, list[str]] | None:
    """Detector → what its author declared, as the files of a run say; None where nobody declared anything; see ``codes_in``."""
    names = [name for name, spec in detectors.items() if not is_ours("detectors", spec)]
    told = {name: _declared(scores_path(folder, name)) for name in names}
    return {name: words for name, words in told.items() if words} or None


def _declared(path: Path) -> list[str]:
    return [word for word in read_metadata(path).get("information", "").split(",") if word]


def faults_of_codes(folder: Path, record: RunRecord) -> Iterator[str]:
    """What a record says of the codes of its detectors, and their files of scores do not."""
    codes = record.codes or {}
    for name in sorted({*codes} - {*record.detectors}):
        yield f"has the code of '{name[:60]}', which is none of its detectors"
    for name, spec in record.detectors.items():
        told = read_metadata(scores_path(folder, name))
        if codes.get(name, "") != told.get("code", ""):
            yield f"says that '{name}' is of another code than its scores were made by"
        elif name in codes and (is_ours("detectors", spec) or record.regime == "given"):
            yield f"has a code of '{name}', which no code of the user's own made"
        elif ":" in spec and name in codes and told.get("origin") != spec:
            yield f"says that '{name}' is '{spec[:60]}', its scores are of '{told.get('origin', '')[:60]}'"


def faults_of_information(folder: Path, record: RunRecord) -> Iterator[str]:
    """What a record says that its detectors use, and their files of scores do not."""
    declared = record.information or {}
    for name in sorted({*declared} - {*record.detectors}):
        yield f"says what '{name[:60]}' uses, which is none of its detectors"
    for name, words in declared.items():
        if not {*words} <= {*get_args(Information)}:
            yield f"says that '{name[:60]}' uses {', '.join(words)[:60]}, expected some of {', '.join(get_args(Information))}"
    for name, spec in record.detectors.items():
        if [*declared.get(name, ())] != _declared(scores_path(folder, name)):
            yield f"says that '{name}' uses something else than the file of its scores says"
        elif name in declared and (is_ours("detectors", spec) or record.regime == "given"):
            yield f"says what '{name}' uses, which its own code says"
