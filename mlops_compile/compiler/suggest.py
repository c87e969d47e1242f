"""Suggestions: the known name that is meant by an unknown one."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_compile.ir.value import dotted

_MOST = 15  # names that are listed in a hint
# What people call things elsewhere, and how that is called here.
_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "acc": ("accuracy",),
    "auc": ("roc_auc", "roc_auc_ovr"),
    "auroc": ("roc_auc", "roc_auc_ovr"),
    "bool": ("boolean",),
    "category": ("categorical",),
    "classification": ("binary", "multiclass"),
    "date": ("datetime",),
    "delim": ("separator",),
    "delimiter": ("separator",),
    "float": ("numeric",),
    "gini": ("roc_auc",),
    "int": ("numeric",),
    "label": ("target",),
    "lr": ("learning_rate",),
    "lgbm": ("lightgbm",),
    "mean_absolute_error": ("mae",),
    "kappa": ("cohen_kappa",),
    "mcc": ("matthews_corrcoef",),
    "mean_squared_error": ("mse", "rmse"),
    "pinball": ("mean_pinball_loss",),
    "quantile_loss": ("mean_pinball_loss",),
    "n_jobs": ("threads",),
    "na_values": ("missing",),
    "null_values": ("missing",),
    "num_threads": ("threads",),
    "object": ("categorical",),
    "onehotencoder": ("one_hot",),
    "ordinalencoder": ("ordinal",),
    "quotechar": ("quote",),
    "random_seed": ("seed",),
    "random_state": ("seed",),
    "sep": ("separator",),
    "shuffle": ("random",),
    "simpleimputer": ("impute",),
    "standardscaler": ("scale",),
    "str": ("categorical",),
    "string": ("categorical",),
    "text": ("categorical",),
    "timestamp": ("datetime",),
}


def nearest(name: str, known: tuple[str, ...]) -> str:
    """The question for the known name that may be meant; empty where none is near."""
    import difflib  # only on the way to an error

    if meant := [item for item in _ELSEWHERE.get(name.lower(), ()) if item in known]:
        return f"did you mean {' or '.join(map(repr, meant))}?"
    by_lower = {item.lower(): item for item in reversed(known)}
    near = difflib.get_close_matches(name.lower(), tuple(by_lower), n=1, cutoff=0.6)
    return f"did you mean {by_lower[near[0]]!r}?" if near else ""


def suggest(name: str, known: tuple[str, ...], what: str = "") -> str:
    """What to write instead of an unknown name: the nearest known one, or all of them (`what`)."""
    if near := nearest(name, known):
        return near
    listed = ", ".join(dotted((item,)) for item in known[:_MOST])
    more = f" and {len(known) - _MOST} more" if len(known) > _MOST else ""
    return f"{what or 'known'}: {listed}{more}" if known else ""
