"""Step kinds for tests, as an installed distribution would offer them: told what to do."""

from __future__ import annotations

from mlops_compile.ir.key import Needs
from mlops_compile.steps.kind import StepKind

_READS = (("probe",),)
_RUN = "mlops_probe.run:run"


def _needs(params: object) -> Needs:
    return Needs()


PROBE = StepKind(
    name="probe",
    version=1,
    run=_RUN,
    inputs=("it",),
    outputs=("out",),
    reads=_READS,
    needs=_needs,
    threaded=True,
)
PAIR = StepKind(
    name="probe_pair",
    version=1,
    run=_RUN,
    inputs=("one", "two"),
    outputs=("out",),
    reads=_READS,
    needs=_needs,
)
TREE = StepKind(
    name="probe_tree",
    version=1,
    run=_RUN,
    inputs=("it",),
    outputs=("out",),
    trees=("out",),
    reads=_READS,
    needs=_needs,
)
FLAKY = StepKind(
    name="probe_flaky",
    version=1,
    run=_RUN,
    inputs=("it",),
    outputs=("out",),
    reads=_READS,
    needs=_needs,
    retries=2,
)
