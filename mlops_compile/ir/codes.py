"""The codes of problems: a number that stays, a short name, and what people should know of each.

Numbers are never used again for something else. docs/errors.md is made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A sort of problem. `mark` is the part of a setting that is marked where it is shown: its key
    or its value. `text` says what it means and what to do."""

    number: int
    name: str
    text: str
    mark: str = "value"

    def __str__(self) -> str:
        return f"MC{self.number:04d}"


def _table(*codes: Code) -> Mapping[str, Code]:
    table = {code.name: code for code in codes}
    if len(table) < len(codes) or len({code.number for code in codes}) < len(codes):
        raise ValueError("two codes share a number or a name")
    return table


def _code(number: int, name: str, text: str, mark: str = "value") -> Code:
    return Code(number=number, name=name, text=text, mark=mark)


CODES: Mapping[str, Code] = _table(
    # Composing: what Hydra reads.
    _code(
        1,
        "yaml",
        "A config file is not YAML. Indent with spaces, close brackets and quotes, write a space"
        " behind the colon of a key, and quote texts that begin with a sign or hold a colon.",
    ),
    _code(
        2,
        "encoding",
        "A file is not in the encoding that it is read in. Config files are UTF-8;"
        " a csv file's encoding is `data.source.options.encoding`.",
    ),
    _code(
        3,
        "key",
        "A key is not a text: YAML reads a bare `No`, `on` or `1` as something else. Quote it.",
        "key",
    ),
    _code(
        4,
        "too-large",
        "A config file is far larger or deeper than configs are, or its anchors and aliases"
        " unfold to that. Data belongs into a data file that `data.source` names.",
    ),
    _code(
        5,
        "override",
        "An override on the command line does not parse, or asks for many configs where one is"
        " composed. Quote what holds commas, brackets, colons or comparisons, and put long texts"
        " into a file of `conf/`.",
    ),
    _code(
        6,
        "no-option",
        "A group has no option of that name, or there is no such group or config. Options are files"
        " of the group's folder in `conf/` whose names end in .yaml; `mlops-compile config --help`"
        " lists them.",
    ),
    _code(
        7,
        "compose",
        "The config cannot be composed: an override of something that is not in the defaults list,"
        " a group chosen twice, a defaults list that is none, a + before what is there already.",
    ),
    _code(
        8,
        "interpolation",
        "A `${...}` is not closed, leads back to itself, or names a key that the config does not"
        " have or an environment variable that is not set.",
    ),
    _code(
        9,
        "impure",
        "A resolver that is not known, or one (or a sweep in random order) by which the same files"
        " could give another config tomorrow. A lock could not hold it: write the value instead,"
        " pass it as an override, or declare the environment variable in `env`.",
    ),
    _code(
        10,
        "value",
        "A value that no plan can hold: NaN, an infinity, or a text that is no Unicode. Write"
        " null, or leave out what is missing.",
    ),
    _code(
        11,
        "newer-config",
        "The config has a newer format than this version of mlops_compile"
        " knows. Install the newer version.",
    ),
    # Checking: what the config says.
    _code(
        12,
        "unknown-key",
        "There is no key of that name here; the nearest one is offered, or the place where there"
        " is one. A family's parameters are those of its library.",
        "key",
    ),
    _code(
        13,
        "wrong-type",
        "The value is of another type than the key takes. YAML reads a bare"
        " `no`, `12:30` or `1` as false, a number of seconds and a number: quote texts.",
    ),
    _code(14, "missing-value", "A key that has no default is not set, or still is `???`."),
    _code(15, "out-of-range", "A number is outside of what the key takes."),
    _code(16, "unknown-choice", "The value is not one of those that there are."),
    _code(
        17,
        "impossible",
        "Each value is fine by itself, but they do not go together: a binary"
        " metric with a regression, a gate on a metric that is not computed, early stopping"
        " without a validation part.",
    ),
    _code(18, "wrong-value", "The library does not take this value for its parameter."),
    _code(19, "given-twice", "Two names of the same parameter are set. Keep one.", "key"),
    _code(
        20,
        "refused",
        "The parameter belongs to the compiler: seeds, threads and what makes"
        " results repeatable are set in one place for all.",
        "key",
    ),
    _code(
        21,
        "older-config",
        "The config has an older format. It is read all the same; the note says what to rename.",
        "key",
    ),
    _code(
        22,
        "no-self",
        "The defaults list of the primary config does not say where that file's own keys come:"
        " they come last, and replace those of experiments. A note, no error.",
        "key",
    ),
    _code(
        27,
        "function",
        "A function of yours cannot be found, or its code cannot be told by reading it: every"
        " module below `code.roots` that it imports is read, and is part of the step's key.",
    ),
    _code(23, "twice", "A key is set twice in one map of a config file. Keep one.", "key"),
    # Data that is looked at while compiling.
    _code(28, "jsonl", "A line is not a JSON object."),
    _code(29, "secret", "A secret stands where it would be written down. Give it another way."),
    _code(
        30,
        "no-file",
        "The data file is not where the config says. Paths are relative to the project.",
    ),
    _code(31, "no-column", "The data has no column of that name; the nearest one is offered."),
    _code(32, "column-type", "The column cannot be of that type. Every cell has to fit."),
    _code(33, "column-name", "A column's name cannot stand in a request. Rename it, or ignore it."),
    _code(
        34, "no-features", "No column is left to predict from: roles and preparations leave none."
    ),
    _code(
        35,
        "target",
        "The target does not fit the task: one class only, too many classes, texts"
        " in a regression, missing values.",
    ),
    _code(36, "csv", "The file cannot be read as delimited text with these options."),
    _code(37, "empty", "The file has no rows."),
    _code(38, "binary", "The file is binary. Export it as csv."),
    _code(39, "header", "The file seems to have no header; `--columns a,b,c` names its columns."),
    _code(40, "columns", "`--columns` does not name as many columns as the file has."),
    _code(41, "source", "The source cannot be read."),
    _code(
        42,
        "ragged-row",
        "A row has more or fewer cells than the header. Look at quotes and the separator.",
    ),
    _code(43, "columns-changed", "The file has other columns than when its snapshot was taken."),
    _code(44, "option", "The options of the source do not fit together, or do not fit the file."),
    _code(45, "packed", "The packed file does not hold one file that can be read."),
    _code(
        46,
        "too-long",
        "A column of whole numbers has one that 64 bits do not hold. Read the column as texts"
        " (type: categorical), or write such numbers with a fraction.",
    ),
    _code(47, "mixed-types", "A column holds values of several types. State one, or mend them."),
    _code(48, "nested", "A column holds lists or objects, which are no cells of a table."),
    _code(49, "unlike-files", "The files of the source do not have the same columns and types."),
    # Locks.
    _code(
        50,
        "lock",
        "The lock is cut off, edited, or not a lock. Write it again with `mlops-compile compile`.",
    ),
    _code(51, "format", "The document says no format that is known."),
    _code(52, "newer-format", "The document was written by a newer version of mlops_compile."),
    _code(
        53,
        "no-lock",
        "There is no lock where one was asked for. `mlops-compile compile` writes it.",
    ),
    _code(
        54,
        "stale",
        "The committed lock is not what the config compiles to now. Compile, look at"
        " the difference, commit.",
    ),
    _code(55, "contract", "The lock's contract is not that of the data and the model."),
    _code(56, "environment", "A distribution is not installed in the version that the lock names."),
    _code(57, "step-kind", "The lock has a kind of step that this version does not know."),
    _code(58, "kind-version", "The lock was compiled for another version of a kind of step."),
    _code(59, "repeated-step", "Two steps of a plan have the same name."),
    _code(60, "no-such-step", "A step takes an input from a step that is not in the plan."),
    _code(61, "no-such-output", "A step takes an output that the other step does not make."),
    _code(62, "cycle", "A step takes an input from a later step."),
    _code(
        63,
        "merge",
        "Two locks cannot be merged: what compiling both changes would give does not follow from"
        " them. Compile, in the project whose configs are merged (docs/git.md).",
    ),
    # Running.
    _code(
        70, "split", "The rows cannot be split like that: a part would be empty, or lack a class."
    ),
    _code(71, "classes", "A class of the target has no rows in the training part."),
    _code(72, "training", "The library could not fit the model."),
    _code(73, "impute", "The column has no value that could stand for the missing ones."),
    _code(74, "scale", "The column cannot be scaled."),
    _code(75, "preparation", "The preparations give no feature of a sort that the family takes."),
    _code(76, "infinite", "The column has infinite values. Make them missing or finite."),
    _code(77, "metric", "The metric cannot be computed on this part."),
    _code(78, "cell", "A cell does not fit the type that its column had when it was looked at."),
    _code(
        79,
        "source-changed",
        "The data is not what was locked, and no snapshot of that is in the"
        " store. Compile again, or bring the file back.",
    ),
    _code(
        80,
        "gate",
        "What was measured does not reach a gate, or the baseline is better (docs/evaluation.md).",
    ),
    _code(
        81,
        "bundle",
        "The generated service does not answer as the evaluated model does, so it is not packaged.",
    ),
    _code(82, "failed", "A step failed."),
    _code(83, "bug", "Something in mlops_compile broke. `--debug` shows where; please report it."),
    _code(84, "differs", "A step gave other bytes than before from equal causes."),
    _code(
        85,
        "killed",
        "The process that ran a step ended before the step did: the machine ran out of memory, or"
        " somebody ended it. Nothing of the step is kept; the next run tries it again.",
    ),
    _code(
        86,
        "memory",
        "A step took more memory than `execution.memory` allows, and was stopped."
        " Allow more, or give the step less to do.",
        "key",
    ),
    _code(
        87,
        "no-process",
        "The machine cannot start a worker process: too many processes or open files, or no memory"
        " for another.",
    ),
    _code(
        88,
        "unreadable",
        "A step cannot read something that it needs: a file went away or may not be read, or a"
        " source did not answer.",
    ),
    _code(
        89,
        "join",
        "The keys of a join stand in more rows than its cardinality allows.",
        "key",
    ),
    # Models, calibration and decisions.
    _code(
        120,
        "weight",
        "A weight is missing or negative, or all weights of a part are 0 that is learned from.",
    ),
    _code(
        121,
        "monotone",
        "`model.monotone` names what is no feature with an order after preparation.",
        "key",
    ),
    _code(122, "calibration", "The probabilities cannot be calibrated on these rows."),
    _code(123, "threshold", "No threshold keeps the rule of `model.threshold` on these rows."),
    _code(
        124,
        "plugin",
        "An installed package offers a model family that cannot be used: it breaks when it is"
        " imported, is no family, or has the name of another. Mend or remove the package.",
    ),
    _code(
        130,
        "function-failed",
        "A function of yours failed on a row, or gave something of another type than was stated.",
    ),
    _code(
        131,
        "function-changed",
        "The code of a function of yours is not what was locked. Compile again, or bring it back.",
    ),
    _code(
        132,
        "violation",
        "Rows break what `data.columns` and `data.rows` say must hold. Mend the data or the rule,"
        " or let `violation` drop such rows or set such values missing.",
    ),
    # Store and disk.
    _code(
        90,
        "blob",
        "An object of the store is damaged; it was set aside, and the next run makes it anew.",
    ),
    _code(91, "tree", "A directory of the store is damaged."),
    _code(92, "store", "The store cannot be used."),
    _code(93, "disk", "A file cannot be written: no room, or no right to."),
    _code(94, "output", "The file or directory that was asked for cannot be written."),
    _code(
        95,
        "no-source",
        "Nothing in the store derives from a source of that location or digest, more than one"
        " digest begins with these digits, or another project that shares the store may have had"
        " its data at a location of that name.",
    ),
    _code(
        96, "root", "What the store is to keep for a lock cannot be told, so nothing is removed."
    ),
    # Command line.
    _code(100, "usage", "The command line cannot be understood; `--help` shows a verb's options."),
    _code(101, "no-run", "The directory is not that of a run."),
    _code(102, "no-model", "There is no model of that name, digest or directory."),
    _code(
        133,
        "no-environment",
        "`bundle --prove` installs the bundle's requirements into a new environment, and that"
        " failed: no package index is reached, or it has not those versions or files.",
    ),
    _code(
        134,
        "unproved",
        "A bundle did not answer the held-out rows as the evaluated model did, or not at all."
        " Another C library than the one that it was evaluated with may differ in the last place.",
    ),
    _code(103, "record", "The run's record is damaged."),
    _code(104, "exists", "The file is there already, and is not written over."),
    _code(
        105,
        "operand",
        "There is no plan behind an operand of `diff`. It is a lock file, a run directory,"
        " `git:REV`, or `conf:OVERRIDES`; `#N` behind it names one point of a sweep.",
    ),
    _code(106, "git", "Git cannot do what was asked, or the directory is in no git repository."),
    _code(141, "promotion", "A version may not take the place of the one that an alias means."),
    _code(140, "registry", "The registry cannot be used, or what is asked of it cannot be."),
)
