"""Asks services what their OpenAPI documents allow and what they do not: `python -m tests.fuzz`.

No answer is a 500, none is missing, each is as the document says, and nothing is wrong in what the
service prints. Arguments go to schemathesis.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.serving import Running, hiding, people, write

# No schema says that the elements of a tensor fill its shape: one that allows a request that is
# refused for that is right all the same.
# A list that is too long is refused as that, and one of more records than contributions are told of
# is, which no schema says of a parameter and a body together.
_CONFIG = """\
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "413", "429"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429"]
"""
PARTS = (
    ("--exclude-path-regex", "/infer$"),
    ("--include-path-regex", "/infer$", "--exclude-checks", "positive_data_acceptance"),
)


def main() -> int:
    """Fuzz a service alone, and one of several processes; the exit code of the worst."""
    found = [0]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        config = place / "schemathesis.toml"
        config.write_text(_CONFIG, "utf-8")
        limits = {"max_seconds": 5.0, "max_body_bytes": 100_000}
        for name, flags in (("alone", ()), ("workers", ("--workers", "2"))):
            bundle = write(hiding(people(**limits), "job"), place / name / "bundle")
            with Running(bundle, "--log", str(place / name / "log"), *flags) as running:
                found += [_fuzzed(running, config, part) for part in PARTS]
                said = running.end()
            if "error" in said:
                print(said)
                found.append(1)
    return max(found)


def _fuzzed(running: Running, config: Path, part: tuple[str, ...]) -> int:
    command = [
        *("schemathesis", "--config-file", str(config)),
        *("run", f"{running.url}/openapi.json", "--checks", "all", *part),
        *("--seed", "1", "--request-timeout", "20", "--no-color", *sys.argv[1:]),
    ]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
