"""Weighing: how important each parameter of a search was, by Optuna's own evaluators."""

# Optuna is imported where it is asked: a run without a search needs none of it.

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from mlops_compile.ir.value import Map, dotted
from mlops_compile.steps.sampling import ended_trial
from mlops_compile.steps.spaces import Space

_FEWEST = 4  # trials, below which there is nothing to say
_MOST = 400


def importances(
    space: Space, config: Map, trials: Sequence[Map], maximize: bool
) -> tuple[Mapping[str, float], str]:
    """Key -> its share, and how it was found: fANOVA with a fixed seed where every trial has every
    parameter, else PED-ANOVA, which knows of conditions. No keys where there are too few trials,
    or all came to the same. Of many trials, the first 400."""
    good = [trial for trial in trials if isinstance(trial["objective"], float)][:_MOST]
    if len(good) < _FEWEST or len({trial["objective"] for trial in good}) < 2:
        return {}, ""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    conditional = any(domain.when for domain in space.domains)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental in it
        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        for trial in good:
            params, objective = trial["params"], trial["objective"]
            assert isinstance(params, Map) and isinstance(objective, float)
            study.add_trial(ended_trial(space, config, space.values(params), objective))
        evaluator = (
            PedAnovaImportanceEvaluator() if conditional else FanovaImportanceEvaluator(seed=0)
        )
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    keys = {dotted(domain.where): dotted(domain.path) for domain in space.domains}
    shares: dict[str, float] = {}
    for name, share in found.items():
        shares[keys[name]] = shares.get(keys[name], 0.0) + float(share)
    how = "PED-ANOVA" if conditional else "fANOVA"
    return shares, f"{how} of Optuna, over {len(good)} trials"
