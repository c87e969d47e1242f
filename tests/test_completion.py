"""Completion: what a shell offers is what may stand there; a broken config says nothing."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import mlops_compile
from mlops_compile.cli.shells import read_line
from tests.project import make

Ask = Callable[..., list[str]]
BREAKS = " \t\n\"'><=;|&(:"
ROOT = Path(mlops_compile.__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command, as it is installed anywhere, and a project."""
    folder = tmp_path_factory.mktemp("home")
    command = folder / "bin dir" / "mlops-compile"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom mlops_compile.__main__ import main\n\nmain()\n")
    command.chmod(0o755)
    make(folder / "project")
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    path = f"{home / 'bin dir'}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(home), **more}


@pytest.fixture
def ask(home: Path) -> Ask:
    """What a line is completed to, as bash would put it at the cursor."""

    def ask(line: str, project: Path = home / "project", breaks: str = "") -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "mlops_compile", "-sc", "query=bash"],
            cwd=project,
            env=environment(home, COMP_LINE=line, COMP_WORDBREAKS=breaks),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [word for word in done.stdout.splitlines() if word]

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("co", ["compile ", "config "]),
        ("--v", ["--version "]),
        ("compile mod", ["model.", "model="]),
        ("compile data.so", ["data.source."]),
        ("compile data.source.k", ["data.source.kind="]),
        ("compile data.source.kind=s", ["sklearn ", "sql "]),
        ("compile model=l", ["lightgbm ", "lightgbm_early ", "logistic_regression "]),
        ("compile +model=ri", ["ridge "]),
        ("run -m model=lightgbm,ri", ["lightgbm,ridge "]),
        ("run -m data.split.kind=random,t", ["random,time "]),
        ("compile model=ridge model.params.", None),
        ("compile model=ridge model.params.solver=s", ["sag ", "saga ", "sparse_cg ", "svd "]),
        ("compile 'evaluate.metrics=[roc_auc,f1", ["evaluate.metrics=[roc_auc,f1"]),
        ("compile evaluate.gates.roc_auc_o", ["evaluate.gates.roc_auc_ovr."]),
        ("compile ~deploy.max_b", ["~deploy.max_body_bytes "]),
        ("compile see", ["seed="]),
        ("compile seed=", ["0 "]),
        ("compile hydra/launcher=", ["basic ", "joblib "]),
        ("compile hydra.job.na", ["hydra.job.name="]),
        ("compile data.source.path=ro", ["rows.csv "]),
        ("compile --re", ["--refresh ", "--resolve "]),
        ("config --cfg ", ["all ", "hydra ", "job "]),
        ("config --cfg=j", ["job "]),
        ("config --config-name con", ["config "]),
        ("explain MC0012", ["MC0012 "]),
        ("schema --group mod", ["model "]),
        ("schema --group=mod", ["model "]),
        ("config --cfg job --package data.so", ["data.source "]),
        ("config --info de", ["defaults ", "defaults-tree ", "deploy.", "deploy="]),
        ("serve MODEL store.u", ["store.uri="]),
        ("store ", ["du ", "forget ", "fsck ", "gc ", "pin ", "unpin "]),
        ("store f", ["forget ", "fsck "]),
        ("store gc --b", ["--budget "]),
        ("store gc --ref HEAD --d", ["--dry-run "]),
        ("store unpin --", ["--help ", "--json "]),
        ("store du store.u", ["store.uri="]),
        ("store gc --budget 1G store.u", ["store.uri="]),
        ("store forget rows.csv store.u", ["store.uri="]),
        ("store forget store.u", []),
        ("store none ", []),
        ("bundle MODEL -", ["--help ", "--prove ", "-o "]),
        ("compile evaluate.primary=rmse", ["rmse "]),
        ("compile -- seed=1 see", ["seed="]),
        ("none ", []),
        ("init ", []),
        ("", None),
    ],
)
def test_what_is_offered(ask: Ask, line: str, offered: list[str] | None) -> None:
    words = line.split(" ")
    found = ask(f"mlops-compile {line}", breaks="=")
    if offered is not None:
        assert found == offered
    elif words[-1]:
        params = ("alpha", "fit_intercept", "max_iter", "positive", "solver", "tol")
        assert found == [f"model.params.{name}=" for name in params]
    else:
        assert {"init ", "run ", "explain "} < set(found)


def test_a_group_of_the_project_and_what_it_sets(ask: Ask, tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    (project / "conf" / "model").mkdir(exist_ok=True)
    (project / "conf" / "model" / "mine.yaml").write_text("family: ridge\nparams: {alpha: 0.5}\n")
    (project / "more" / "model").mkdir(parents=True)
    (project / "more" / "model" / "more.yaml").write_text("family: ridge\n")
    assert ask("mlops-compile compile model=m", project, "=") == ["mine "]
    assert ask("mlops-compile compile -cd more model=m", project, "=") == ["mine ", "more "]
    assert ask("mlops-compile compile model=mine model.params.alpha=", project, "=") == ["0.5 "]
    assert "solver=" in ask("mlops-compile compile model=mine model.params.", project, "=.")


@pytest.mark.parametrize(
    "text", ["a: [", "\tb: 1", "defaults:\n  - nothing: here\n", "a: ${b\n", "x" * 2_000_000, ""]
)
def test_a_broken_config_leaves_what_can_be_known(ask: Ask, tmp_path: Path, text: str) -> None:
    project = make(tmp_path / "project")
    (project / "conf" / "config.yaml").write_text(text)
    assert ask("mlops-compile compile mod", project) == ["model.", "model="]
    assert ask("mlops-compile compile model.fam", project) == ["model.family="]
    assert ask("mlops-compile compile model=ri", project, "=") == ["ridge "]


@pytest.mark.parametrize("words", ["model=[", "a b c", "'open", "--none x", "-cn", "=3 seed=x"])
def test_a_line_that_is_not_finished_is_no_error(ask: Ask, words: str) -> None:
    ask(f"mlops-compile compile {words} ")
    ask(f"mlops-compile compile {words}")


@pytest.mark.parametrize("words", [[], ["install"], ["install=fish"], ["query"], ["a", "b"]])
def test_other_words_are_refused(words: list[str]) -> None:
    command = [sys.executable, "-m", "mlops_compile", "-sc", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == "" and "-sc install=bash" in done.stderr


@pytest.mark.parametrize(
    ("text", "words", "word", "replaced", "quote"),
    [
        ("m run a=b", ("run",), "a=b", "b", ""),
        ("m run 'a=b c", ("run",), "a=b c", "a=b c", "'"),
        ('m run a="b', ("run",), "a=b", "b", '"'),
        (r"m run a\ b=c", ("run",), "a b=c", "c", ""),
        (r"m run a\ b", ("run",), "a b", r"a\ b", ""),
        ("X=1 m run ", ("run",), "", "", ""),
        ("m 'a b' '' c", ("a b", ""), "c", "c", ""),
        ("m run data:x", ("run",), "data:x", "x", ""),
        ("m", (), "m", "m", ""),
    ],
)
def test_lines_are_read_as_bash_reads_them(
    text: str, words: tuple[str, ...], word: str, replaced: str, quote: str
) -> None:
    line = read_line(text, len(text), BREAKS)
    assert (line.words, line.word, line.replaced, line.quote) == (words, word, replaced, quote)


PROGRAM = """
import sys
from mlops_compile.__main__ import main
try:
    main()
finally:
    print(*sorted(set(sys.argv[3].split(",")) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("line", "imported"),
    [
        ("r", ""),
        ("init --", ""),
        ("schema --group ", ""),
        ("explain MC", ""),
        ("serve --", ""),
        ("bundle --", ""),
        ("store gc --", ""),
        ("run model.params.", "hydra"),
        ("run --", ""),
        ("run --cfg ", ""),
    ],
)
def test_a_tab_imports_no_more_than_it_needs(home: Path, line: str, imported: str) -> None:
    watched = "hydra,lightgbm,numpy,pandas,pyarrow,sklearn,scipy"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("sys.argv[3]", repr(watched)), "-sc", "query=bash"],
        cwd=home / "project",
        env=environment(home, COMP_LINE=f"mlops-compile {line}"),
        capture_output=True,
        text=True,
    )
    assert (done.stderr.strip(), done.returncode) == (imported, 0)


def test_a_tab_leaves_nothing_behind(ask: Ask, tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    before = sorted(project.rglob("*"))
    (project / "rows.csv").unlink()  # nor does it look at data
    os.mkfifo(project / "rows.csv")
    ask("mlops-compile run model=ridge model.params.", project)
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize(
    ("typed", "candidate", "bash", "zsh"),
    [
        ("m run x=", 'x=">= 1"', r"\"\>=\ 1\" ", r"x=\"\>=\ 1\" "),
        ("m run 'x=", 'x=">= 1"', 'x=">= 1"', 'x=">= 1" '),
        ('m run "x=', 'x=">= $1"', r"x=\">= \$1\"", r"x=\">= \$1\" "),
        ("m run 'x=", "x='a'", r"x='\''a'\''", r"x='\''a'\'' "),
        (r"m run x=a\ ", "x=a b.csv", r"a\ b.csv ", r"x=a\ b.csv "),
    ],
)
def test_replies_are_written_as_the_shell_reads_them(
    typed: str, candidate: str, bash: str, zsh: str
) -> None:
    assert read_line(typed, len(typed), BREAKS).reply(candidate, "bash") == bash
    assert read_line(typed, len(typed), "").reply(candidate, "zsh") == zsh


def test_the_cursor_in_the_middle_of_a_line() -> None:
    assert read_line("m run model= seed=3", len("m run model="), "").word == "model="


def in_terminal(shell: list[str], home: Path, keys: str, wanted: str, start: str) -> str:
    """What a shell shows in a terminal of its own after some keys; ends once `wanted` is seen."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home / "project")
        os.execvpe(shell[0], shell, environment(home, PS1="> ", TERM="dumb", INPUTRC="/dev/null"))
    seen = ""
    try:
        os.write(terminal, f"{start}; echo rea''dy\n".encode())
        limit = time.monotonic() + 60
        sent = False
        while time.monotonic() < limit:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 4096).decode(errors="replace")
            if not sent and "ready\r" in seen:
                os.write(terminal, keys.encode())
                sent, seen = True, ""
            if sent and wanted in seen:
                break
        return seen
    finally:
        os.write(terminal, b"\x03\x04")
        os.close(terminal)
        os.waitpid(pid, 0)


SHELLS = [
    pytest.param(["bash", "--norc", "--noprofile", "-i"], "bash", id="bash"),
    pytest.param(
        ["zsh", "-f", "-i"],
        "zsh",
        id="zsh",
        marks=pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed"),
    ),
]


@pytest.mark.parametrize(("shell", "name"), SHELLS)
@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ("mlops-compile expl\t", "mlops-compile explain "),
        ("mlops-compile run model=ri\t", "model=ridge "),
        ("mlops-compile run data.split.ki\tstra\t", "data.split.kind=stratified "),
        ("mlops-compile run --plan conf/conf\t", "--plan conf/config.yaml"),
        ("../bin\\ dir/mlops-compile run 'model=ri\t", "'model=ridge'"),
    ],
)
def test_tab_in_a_terminal(home: Path, shell: list[str], name: str, keys: str, wanted: str) -> None:
    start = f'eval "$(mlops-compile -sc install={name})"'
    assert wanted in in_terminal(shell, home, keys, wanted, start)


@pytest.mark.parametrize(("shell", "name"), SHELLS)
def test_tab_behind_python_with_a_module(home: Path, shell: list[str], name: str) -> None:
    python = shlex.quote(sys.executable)
    start = f'eval "$({python} -m mlops_compile -sc install={name})"'
    keys = f"{python} -m mlops_compile run model=ri\t"
    assert "model=ridge " in in_terminal(shell, home, keys, "model=ridge ", start)


def test_uninstall_takes_everything_back(home: Path) -> None:
    script = (
        'eval "$(mlops-compile -sc install=bash)"; complete -p mlops-compile;'
        'eval "$(mlops-compile -sc uninstall=bash)"; complete -p mlops-compile;'
        "type _mlops_compile_complete"
    )
    command = ["bash", "--norc", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(home))
    assert done.stdout == (
        "complete -o default -o nospace -F _mlops_compile_complete mlops-compile\n"
    )
    assert "no completion specification" in done.stderr and "not found" in done.stderr
