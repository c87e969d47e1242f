"""Regenerates the tables of the families' parameters from the installed libraries.

    python tests/generate_parameters.py            # print what would change; exit 1 if anything
    python tests/generate_parameters.py --write    # write it

scikit-learn says itself what its estimators take. LightGBM's wheel knows names, aliases and (in a
model's text) defaults, but no types and ranges: those are kept here as facts of its documentation.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))  # a checkout that is not installed

from mlops_compile.ir.parameter import Parameter
from mlops_compile.steps.families.parameters import FOLDER

# One parameter a line: name | types | default | range | what it does. "-" stands for none.
# `list` after another type: one value, or a list of such values.
LIGHTGBM = """
alpha | float | 0.9 | (0,) | where huber turns linear, or which quantile is fitted
auc_mu_weights | float list | - | - | weights of class confusions in auc_mu, row after row
bagging_fraction | float | 1.0 | (0,1] | share of the rows drawn at each bagging
bagging_freq | int | 0 | - | rows are drawn anew every this many rounds; 0 draws none
bin_construct_sample_cnt | int | 200000 | [1,) | rows looked at to find the bins of a feature
boost_from_average | bool | true | - | start from the mean of the target
boosting | str | gbdt | - | how trees are added up
cat_l2 | float | 10.0 | [0,) | L2 penalty in splits by category
cat_smooth | float | 10.0 | [0,) | damps the noise of rare categories
cegb_penalty_feature_coupled | float list | - | - | cost of a feature's first use, by feature
cegb_penalty_feature_lazy | float list | - | - | cost of a feature per row that needs it, by feature
cegb_penalty_split | float | 0.0 | [0,) | cost of each split
cegb_tradeoff | float | 1.0 | [0,) | factor of all cegb costs
data_sample_strategy | str | bagging | - | how rows are drawn for a tree
drop_rate | float | 0.1 | [0,1] | share of the earlier trees that dart drops
early_stopping_min_delta | float | 0.0 | [0,) | least gain that counts in early stopping
early_stopping_round | int | 0 | - | stop after this many rounds without gain; 0 never stops
enable_bundle | bool | true | - | bundle features that are never set together
extra_trees | bool | false | - | try one random threshold a feature
fair_c | float | 1.0 | (0,) | scale of the fair loss
feature_contri | float list | - | - | factors of the features' split gains, in order
feature_fraction | float | 1.0 | (0,1] | share of the features drawn for a tree
feature_fraction_bynode | float | 1.0 | (0,1] | share of the features drawn for a node
feature_pre_filter | bool | true | - | leave out features that min_data_in_leaf forbids to split
first_metric_only | bool | false | - | only the first metric stops early
histogram_pool_size | float | -1.0 | - | megabytes of kept histograms; below 0 sets no limit
interaction_constraints | str | - | - | positions of features that may meet: "[0,1],[2]"
is_enable_sparse | bool | true | - | store sparse features in a sparse way
is_unbalance | bool | false | - | weigh the classes by how rare they are
lambda_l1 | float | 0.0 | [0,) | L1 penalty of leaf values
lambda_l2 | float | 0.0 | [0,) | L2 penalty of leaf values
learning_rate | float | 0.1 | (0,) | how much of a tree is added
linear_lambda | float | 0.0 | [0,) | L2 penalty of linear leaves
linear_tree | bool | false | - | fit a linear model in each leaf
max_bin | int | 255 | [2,) | most bins of a feature
max_bin_by_feature | int list | - | [2,) | most bins of each feature, in order
max_cat_threshold | int | 32 | [1,) | most split points tried for a categorical feature
max_cat_to_onehot | int | 4 | [1,) | up to this many categories are split one against the rest
max_delta_step | float | 0.0 | - | largest leaf value; 0 sets no limit
max_depth | int | -1 | - | deepest level of a tree; 0 and below set no limit
max_drop | int | 50 | - | most trees that dart drops in a round; 0 and below set no limit
metric | str list | - | - | what early stopping watches; else the objective's own metric
min_data_in_bin | int | 3 | [1,) | fewest rows in a bin
min_data_in_leaf | int | 20 | [0,) | fewest rows in a leaf
min_data_per_group | int | 100 | [1,) | fewest rows in a group of categories
min_gain_to_split | float | 0.0 | [0,) | least gain of a split
min_sum_hessian_in_leaf | float | 0.001 | [0,) | least sum of second derivatives in a leaf
monotone_constraints | int list | - | [-1,1] | rising 1, falling -1 or free 0, for each feature
monotone_constraints_method | str | basic | - | how monotone constraints are kept
monotone_penalty | float | 0.0 | [0,) | keeps monotone splits away from the top of a tree
multi_error_top_k | int | 1 | [1,) | multi_error counts a hit among this many best classes
neg_bagging_fraction | float | 1.0 | (0,1] | share of the negative rows drawn at each bagging
num_grad_quant_bins | int | 4 | [2,) | bins of quantized gradients
num_iterations | int | 100 | [1,) | boosting rounds
num_leaves | int | 31 | [2,131072] | most leaves of a tree
objective | str | regression | - | the loss; usually follows from the task
other_rate | float | 0.1 | [0,1] | share that goss keeps of the rows with small gradients
path_smooth | float | 0.0 | [0,) | pulls small nodes towards their parent
poisson_max_delta_step | float | 0.7 | (0,) | keeps poisson steps small
pos_bagging_fraction | float | 1.0 | (0,1] | share of the positive rows drawn at each bagging
quant_train_renew_leaf | bool | false | - | leaf values from exact gradients when quantized
reg_sqrt | bool | false | - | fit the root of the target
scale_pos_weight | float | 1.0 | (0,) | weight of the positive class
sigmoid | float | 1.0 | (0,) | slope of the sigmoid
skip_drop | float | 0.5 | [0,1] | how often dart drops nothing
stochastic_rounding | bool | true | - | round quantized gradients at random
top_rate | float | 0.2 | [0,1] | share that goss keeps of the rows with large gradients
tweedie_variance_power | float | 1.5 | [1,2) | from poisson (1) towards gamma (2)
uniform_drop | bool | false | - | dart drops trees with equal chances
use_missing | bool | true | - | treat missing values as such
use_quantized_grad | bool | false | - | train on quantized gradients
xgboost_dart_mode | bool | false | - | dart as XGBoost does it
zero_as_missing | bool | false | - | treat zeros as missing
"""
LIGHTGBM_CHOICES = {
    "boosting": "gbdt rf dart goss",
    "data_sample_strategy": "bagging goss",
    "metric": (
        "l1 l2 rmse r2 quantile mape huber fair poisson gamma gamma_deviance tweedie "
        "binary_logloss binary_error auc average_precision multi_logloss multi_error auc_mu "
        "cross_entropy cross_entropy_lambda kullback_leibler"
    ),
    "monotone_constraints_method": "basic intermediate advanced",
    "objective": (
        "binary multiclass multiclassova regression regression_l1 huber fair poisson quantile "
        "mape gamma tweedie cross_entropy"
    ),
}
_SEED = "follows from the plan's seed: set `seed` at the top of the config"
_OWN = "is set by the compiler, so that the same plan gives the same model"
_TEXT_FILE = "is for reading text files; rows come from `data.source`"
_COLUMN = "is for reading text files; say what columns are in `data.columns` and `data.target`"
_FILE = "names a file, which the plan could not pin"
_COMMAND_LINE = "belongs to the library's own command line"
_DEVICE = "chooses a device; models are trained on the CPU, where results can be repeated"
_NETWORK = "is for training on several machines at once"
_PREDICTION = "is for prediction and has no effect on training"
_RANKING = "is for ranking, which is no task here"
_THREADS = "has no effect on the model: set `execution.threads`"
# Why; then one parameter a line: name | types | default.
LIGHTGBM_REFUSED = {
    _SEED: """
seed | int | -
bagging_seed | int | 3
data_random_seed | int | 1
drop_seed | int | 4
extra_seed | int | 6
feature_fraction_seed | int | 2
objective_seed | int | 5
""",
    _OWN: """
deterministic | bool | false
force_col_wise | bool | false
force_row_wise | bool | false
""",
    _THREADS: "num_threads | int | 0",
    "is found from the data: it is the number of classes": "num_class | int | 1",
    "has no effect on the model: the library is kept quiet": "verbosity | int | 1",
    "follows from the columns: those that `prepare` ends in `category`": (
        "categorical_feature | int str list | -"
    ),
    _COLUMN: """
group_column | int str | -
ignore_column | int str list | -
label_column | int str | -
weight_column | int str | -
""",
    _TEXT_FILE: """
header | bool | false
precise_float_parser | bool | false
two_round | bool | false
""",
    _FILE: """
config | str | -
data | str | -
forcedbins_filename | str | -
forcedsplits_filename | str | -
input_model | str | -
output_model | str | LightGBM_model.txt
output_result | str | LightGBM_predict_result.txt
parser_config_file | str | -
valid | str list | -
""",
    _COMMAND_LINE: """
convert_model | str | gbdt_prediction.cpp
convert_model_language | str | -
is_provide_training_metric | bool | false
metric_freq | int | 1
refit_decay_rate | float | 0.9
save_binary | bool | false
saved_feature_importance_type | int | 0
snapshot_freq | int | -1
task | str | train
""",
    _DEVICE: """
device_type | str | cpu
gpu_device_id | int | -1
gpu_device_id_list | str | -
gpu_platform_id | int | -1
gpu_use_dp | bool | false
num_gpu | int | 1
""",
    _NETWORK: """
local_listen_port | int | 12400
machine_list_filename | str | -
machines | str | -
num_machines | int | 1
pre_partition | bool | false
time_out | int | 120
top_k | int | 20
tree_learner | str | serial
""",
    _PREDICTION: """
num_iteration_predict | int | -1
pred_early_stop | bool | false
pred_early_stop_freq | int | 10
pred_early_stop_margin | float | 10.0
predict_contrib | bool | false
predict_disable_shape_check | bool | false
predict_leaf_index | bool | false
predict_raw_score | bool | false
start_iteration_predict | int | 0
""",
    _RANKING: """
bagging_by_query | bool | false
eval_at | int list | -
label_gain | float list | -
lambdarank_norm | bool | true
lambdarank_position_bias_regularization | float | 0.0
lambdarank_truncation_level | int | 30
""",
}
_FOREST_DOCS = {
    "bootstrap": "draw the rows of each tree with replacement",
    "ccp_alpha": "how much a branch must gain per leaf to be kept; 0 keeps all",
    "class_weight": "weigh the classes by how rare they are",
    "criterion": "how the quality of a split is measured",
    "max_depth": "deepest level of a tree",
    "max_features": "features tried at a split: a number, a share (1.0 is all), sqrt or log2",
    "max_leaf_nodes": "most leaves of a tree",
    "max_samples": "rows drawn for a tree: a number, or a share",
    "min_impurity_decrease": "least gain of a split",
    "min_samples_leaf": "fewest rows in a leaf: a number, or a share",
    "min_samples_split": "fewest rows in a node that is split: a number, or a share",
    "min_weight_fraction_leaf": "least share of the weight in a leaf",
    "n_estimators": "number of trees",
}
SKLEARN_DOCS = {
    "elastic_net": {
        "alpha": "strength of the penalty",
        "fit_intercept": "add a constant",
        "l1_ratio": "share of L1 in the penalty: 0 is L2 alone, 1 is L1 alone (the lasso)",
        "max_iter": "most rounds over the weights",
        "positive": "keep the weights from being negative",
        "selection": "weights are mended in turn, or at random",
        "tol": "how small a change ends the iterations",
    },
    "extra_trees": _FOREST_DOCS,
    "hist_gradient_boosting": {
        "class_weight": "weigh the classes by how rare they are",
        "early_stopping": "stop after n_iter_no_change rounds without gain on the validation part",
        "interaction_cst": "which features may meet in a tree: all pairs, or none",
        "l2_regularization": "L2 penalty of leaf values",
        "learning_rate": "how much of a tree is added",
        "loss": "the loss; usually follows from the task",
        "max_bins": "most bins of a feature",
        "max_depth": "deepest level of a tree",
        "max_features": "share of the features drawn for a node",
        "max_iter": "boosting rounds",
        "max_leaf_nodes": "most leaves of a tree",
        "min_samples_leaf": "fewest rows in a leaf",
        "n_iter_no_change": "rounds without gain that end early stopping",
        "quantile": "which quantile is fitted with the loss quantile",
        "tol": "least gain that counts in early stopping",
    },
    "logistic_regression": {
        "C": "strength of the fit against the penalty; smaller regularizes more",
        "class_weight": "weigh the classes by how rare they are",
        "dual": "solve the dual problem (liblinear with an L2 penalty only)",
        "fit_intercept": "add a constant",
        "intercept_scaling": "size of the constant's column (liblinear only)",
        "l1_ratio": "share of L1 in the penalty: 0 is L2 alone, 1 is L1 alone",
        "max_iter": "most iterations of the solver",
        "solver": "how the weights are found",
        "tol": "how small a change ends the iterations",
    },
    "random_forest": _FOREST_DOCS,
    "ridge": {
        "alpha": "strength of the L2 penalty",
        "fit_intercept": "add a constant",
        "max_iter": "most iterations of the solver; else what the solver takes to be enough",
        "positive": "keep the weights from being negative",
        "solver": "how the weights are found",
        "tol": "how small a change ends the iterations",
    },
}
_PART = "follows from the plan: rows to stop by are the validation part (data.split)"
_MONOTONE = "goes by position: set `model.monotone`, by name"
SKLEARN_REFUSED = {
    "categorical_features": "follows from the columns: those that `prepare` ends in `category`",
    "copy_X": "has no effect on the model: the rows are never needed again",
    "monotonic_cst": _MONOTONE,
    "n_jobs": _THREADS,
    "oob_score": "has no effect on the model: see `evaluate` for metrics",
    "penalty": "is deprecated by its library: set `l1_ratio` for its kind, `C` for its strength",
    "precompute": "has no effect on the model but in its last bits",
    "random_state": _SEED,
    "scoring": "is the loss: the rows to stop by are measured as the training rows are",
    "validation_fraction": _PART,
    "verbose": "has no effect on the model: the library is kept quiet",
    "warm_start": "would start from an earlier model, and each step fits one model from scratch",
}
# What our early stopping takes of the library's: on given rows, and only if asked for.
SKLEARN_OWN = {"early_stopping": {"types": ("bool",), "choices": (), "default": False}}
_INT_MAX = 2**31 - 1  # LightGBM's integers wrap around silently


def lightgbm() -> list[Parameter]:
    """Names and aliases of the installed library, with the facts above; SystemExit where they
    disagree."""
    from lightgbm.basic import _ConfigAliases

    aliases: dict[str, list[str]] = _ConfigAliases._get_all_param_aliases()
    facts = {row[0]: _settable(*row) for row in _rows(LIGHTGBM)}
    for reason, block in LIGHTGBM_REFUSED.items():
        facts |= {row[0]: _refused(reason, *row) for row in _rows(block)}
    agree("lightgbm", set(aliases), set(facts))
    return [
        Parameter(**facts[name], aliases=tuple(sorted(set(aliases[name]) - {name})))
        for name in sorted(facts)
    ]


def agree(library: str, installed: set[str], known: set[str]) -> None:
    """SystemExit, with what to do, where a library and the facts name other parameters."""
    here = "tests/generate_parameters.py"
    for names, message in (
        (installed - known, f"the installed {library} has parameters that {here} lacks; add"),
        (known - installed, f"the installed {library} lacks parameters of {here}; take out"),
    ):
        if names:
            raise SystemExit(f"{message}: {', '.join(sorted(names))}")


def _rows(block: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(" | ")] for line in block.strip().splitlines()]


def _settable(name: str, types: str, default: str, span: str, doc: str) -> dict[str, Any]:
    fact = _fact(name, types, default) | _range(span)
    if "int" in fact["types"]:
        fact.setdefault("high", _INT_MAX)
    if name in LIGHTGBM_CHOICES:
        fact["choices"] = tuple(LIGHTGBM_CHOICES[name].split())
    return fact | {"doc": doc}


def _refused(reason: str, name: str, types: str, default: str) -> dict[str, Any]:
    return _fact(name, types, default) | {"refused": reason}


def _fact(name: str, types: str, default: str) -> dict[str, Any]:
    """The library takes None for every parameter and leaves it at its default then."""
    names = tuple(types.split())
    value = default if "str" in names or default == "-" else json.loads(default)
    value = None if value == "-" else value
    return {"name": name, "types": names, "nullable": True, "default": value}


def _range(span: str) -> dict[str, Any]:
    """`(0,1]` and the like; a bound that is left out does not exist."""
    if span == "-":
        return {}
    low, high = span[1:-1].split(",")
    found: dict[str, Any] = {}
    if low:
        found |= {"low": json.loads(low), "low_open": span[0] == "("}
    if high:
        found |= {"high": json.loads(high), "high_open": span[-1] == ")"}
    return found


def sklearn(family: str, *estimators: type) -> list[Parameter]:
    """What the signatures and constraints of a family's estimators (a classifier, a regressor) say;
    SystemExit for what is not known here."""
    found: dict[str, list[dict[str, Any]]] = {}
    for estimator in estimators:
        constraints: Mapping[str, list[Any]] = estimator._parameter_constraints  # type: ignore[attr-defined]
        for name, item in inspect.signature(estimator).parameters.items():
            default = None if item.default == "deprecated" else item.default
            own = SKLEARN_OWN.get(name, {})
            field = {"default": default, **_constrained(name, constraints[name]), **own}
            found.setdefault(name, []).append(field)
    docs = SKLEARN_DOCS[family]
    agree(f"scikit-learn's {family}", set(found) - set(SKLEARN_REFUSED), set(docs))
    return [
        Parameter(
            name=name,
            doc=docs.get(name, ""),
            refused=SKLEARN_REFUSED.get(name, ""),
            **_merged(fields),
        )
        for name, fields in sorted(found.items())
    ]


def _merged(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """What one estimator or the other takes; a default only where they have the same."""
    merged = dict(fields[0])
    for other in fields[1:]:
        if merged["default"] != other["default"]:
            merged["default"] = None
        if merged.get("nullable") or other.get("nullable"):
            merged["nullable"] = True
        merged["types"] = tuple(dict.fromkeys((*merged["types"], *other["types"])))
        if choices := {*merged.get("choices", ()), *other.get("choices", ())}:
            merged["choices"] = tuple(sorted(choices))
    return merged


def _constrained(name: str, constraints: list[Any]) -> dict[str, Any]:
    """The fields that follow from constraints; those on what no config can hold are left out."""
    from numbers import Integral, Real

    from sklearn._loss.loss import BaseLoss
    from sklearn.utils._param_validation import Hidden, Interval, Options

    found: dict[str, Any] = {"types": ()}
    intervals = []
    for item in constraints:
        if item is None:
            found["nullable"] = True
        elif item == "boolean" or item is bool:
            found["types"] += ("bool",)
        elif item == "random_state":
            found["types"] += ("int",)
            found["nullable"] = True
        elif item == "verbose":
            found["types"] += ("int", "bool")
        elif item is Integral or item is Real:
            found["types"] += ("int" if item is Integral else "float",)
        elif isinstance(item, Interval):
            found["types"] += ("int" if item.type is Integral else "float",)
            intervals.append(_interval(item))
        elif isinstance(item, Options) and item.type is str:
            found["types"] += ("str",)
            found["choices"] = tuple(sorted(item.options - item.deprecated))
        elif item is str:
            found["types"] += ("str",)
        elif not (
            item in (dict, list, tuple, callable, BaseLoss, "array-like")
            or isinstance(item, Hidden)
        ):
            raise SystemExit(f"scikit-learn says of {name!r} what is not known here: {item}")
    found["types"] = found["types"] or ("list",)
    return found | _widest(intervals)


def _widest(intervals: list[dict[str, Any]]) -> dict[str, Any]:
    """Bounds that let through what one interval does (a count, or a share)."""
    found: dict[str, Any] = {}
    for side, sign in (("low", 1), ("high", -1)):
        if intervals and all(side in item for item in intervals):
            least = min(intervals, key=lambda item: (sign * item[side], item[f"{side}_open"]))
            found |= {name: least[name] for name in (side, f"{side}_open")}
    return found


def _interval(item: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for side, bound, closed in (("low", item.left, "left"), ("high", item.right, "right")):
        if bound is not None and abs(bound) != float("inf"):
            found[side] = int(bound) if bound == int(bound) else float(bound)
            found[f"{side}_open"] = item.closed not in (closed, "both")
    return found


def generate() -> dict[str, str]:
    """The text of each table, by file name."""
    from sklearn import ensemble
    from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

    both = {
        "extra_trees": "ExtraTrees",
        "hist_gradient_boosting": "HistGradientBoosting",
        "random_forest": "RandomForest",
    }

    tables = {
        **{
            f"{name}.json": sklearn(
                name, *(getattr(ensemble, f"{stem}{kind}") for kind in ("Classifier", "Regressor"))
            )
            for name, stem in both.items()
        },
        "elastic_net.json": sklearn("elastic_net", ElasticNet),
        "lightgbm.json": lightgbm(),
        "logistic_regression.json": sklearn("logistic_regression", LogisticRegression),
        "ridge.json": sklearn("ridge", Ridge),
    }
    return {
        name: json.dumps([item.to_dict() for item in table], indent=1) + "\n"
        for name, table in tables.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """Print what would change, or write it; 1 where something would."""
    parser = argparse.ArgumentParser(description="tables of the families' parameters")
    parser.add_argument("--write", action="store_true", help="write the files")
    write = parser.parse_args(arguments).write
    changed = False
    for name, text in generate().items():
        file = FOLDER / name
        old = file.read_text(encoding="utf-8") if file.exists() else ""
        if old == text:
            continue
        changed = True
        if write:
            file.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {name}")
        else:
            lines = old.splitlines(keepends=True), text.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(*lines, f"{name} (now)", f"{name} (then)"))
    return int(changed and not write)


if __name__ == "__main__":
    sys.exit(main())
