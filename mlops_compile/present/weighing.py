"""Weighing: how important each parameter of a search was, by Optuna's own evaluators."""

# Optuna is imported where it is asked: a run without a search needs none of it.

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from mlops_compile.ir.value import Map, dotted
from mlops_compile.steps.sampling import ended_trial
from mlops_compile.steps.spaces import Space

_FEWEST = 4  # trials, below which there is nothing to say
_MOST = 100  # trials of which fANOVA takes no longer than the rest of the page


def importances(
    space: Space, config: Map, trials: Sequence[Map], maximize: bool
) -> tuple[Mapping[str, float], str]:
    """Key -> its share, and how it was found: fANOVA with a fixed seed where there are at most 100
    trials that all have every parameter, else PED-ANOVA, which is quick and knows of conditions. No
    keys where there are too few trials, or all came to the same."""
    good = [trial for trial in trials if isinstance(trial["objective"], float)]
    if len(good) < _FEWEST or len({trial["objective"] for trial in good}) < 2:
        return {}, ""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    whole = len(good) <= _MOST and not any(domain.when for domain in space.domains)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental in it
        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        for trial in good:
            params, objective = trial["params"], trial["objective"]
            assert isinstance(params, Map) and isinstance(objective, float)
            study.add_trial(ended_trial(space, config, space.values(params), objective))
        fanova, ped = FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
        evaluator = fanova(seed=0) if whole else ped()
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    keys = {dotted(domain.where): dotted(domain.path) for domain in space.domains}
    shares: dict[str, float] = {}
    for name, share in found.items():
        shares[keys[name]] = shares.get(keys[name], 0.0) + float(share)
    how = "fANOVA" if whole else "PED-ANOVA"
    return shares, f"{how} of Optuna, over {len(good):,} trials"
