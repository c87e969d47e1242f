"""What is checked, and how: `nox --list`, then `nox -s NAME [-- ARGUMENTS]`.

Every session but `lock` installs from the hashed files in requirements/.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13")
RUNTIME, TEST, DEV, NOX = (f"requirements/{name}.txt" for name in ("main", "test", "dev", "nox"))
# The next Hydra, over what TEST installs; its release candidates are asked for by name.
HYDRA14 = "requirements/hydra14.txt"
# moto holds python-dateutil at an older version than TEST has, so this is resolved by itself.
SERVERS = "requirements/servers.txt"
CLIENTS = "requirements/clients.txt"
LIBRARIES = "tests/libraries"
PROOFS = "tests/proofs"
PYTEST = ("python", "-m", "pytest", "-n", "2", "--dist", "worksteal")
IS_INSTALLED = """
import mlops_compile, sys
sys.exit("site-packages" not in mlops_compile.__path__[0] and "not the wheel: the checkout")
"""

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests"]


def version_of(python: Path) -> str:
    """`3.12` for a Python that starts, the empty text for anything else."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", program], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def reveal_pyenv() -> None:
    """Put pyenv's Pythons on PATH where the name alone does not start one.

    pyenv's shims (`python3.12`) stand on PATH but refuse to start a version that is not activated.
    """
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for wanted in PYTHONS:
        known = shutil.which(f"python{wanted}")
        if known and version_of(Path(known)) == wanted:
            continue
        for folder in sorted(versions.glob(f"{wanted}.*/bin"), reverse=True):
            if version_of(folder / f"python{wanted}") == wanted:
                os.environ["PATH"] = os.pathsep.join([str(folder), os.environ["PATH"]])
                break


reveal_pyenv()
# Commands and workers start by the hundred: each would compile its libraries anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def install_locked(session: nox.Session, requirements: str) -> None:
    session.install("--require-hashes", "-r", requirements)


def install_checkout(session: nox.Session) -> None:
    """The locked test environment with the checkout, editable."""
    install_locked(session, TEST)
    session.install("--no-deps", "--editable", ".")


def run_quick_tests(session: nox.Session) -> None:
    session.run(*PYTEST, "-m", "not slow", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The quick tests on this Python; arguments go to pytest."""
    install_checkout(session)
    run_quick_tests(session)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """The quick tests on each supported Python that is installed."""
    install_checkout(session)
    run_quick_tests(session)


@nox.session
def hydra14(session: nox.Session) -> None:
    """The quick tests with Hydra 1.4 in place of the locked Hydra."""
    install_checkout(session)
    # Its requirements replace TEST's hydra-core and omegaconf; all else stays.
    install_locked(session, HYDRA14)
    run_quick_tests(session)


@nox.session(reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """The quick tests against the built wheel, away from the checkout."""
    install_locked(session, TEST)
    with tempfile.TemporaryDirectory() as folder:
        away = Path(folder).resolve()
        # By way of the source distribution, which is thereby known to be complete.
        session.run("python", "-m", "build", "--outdir", str(away / "dist"), ".")
        (built,) = (away / "dist").glob("*.whl")
        session.install("--no-deps", str(built))
        litter = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / "tests", away / "tests", ignore=litter)
        shutil.copy(ROOT / "pyproject.toml", away)
        with session.chdir(away):
            env = {"PYTHONPATH": None}
            session.run("python", "-c", IS_INSTALLED, env=env)
            session.run(*PYTEST, "-m", "not slow", *session.posargs, env=env)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests marked slow, but for those that have a session of their own."""
    install_checkout(session)
    ignored = [f"--ignore={place}" for place in (LIBRARIES, PROOFS)]
    session.run(*PYTEST, "-m", "slow", *ignored, *session.posargs)


@nox.session
def libraries(session: nox.Session) -> None:
    """Runs of every preparation, family and metric against plain calls of their libraries: on
    adult, taxis and penguins where MLOPS_DATA names their folder, else on generated stand-ins."""
    install_checkout(session)
    session.run(*PYTEST, "-m", "slow or not slow", LIBRARIES, *session.posargs)


@nox.session
def determinism(session: nox.Session) -> None:
    """Compile and run twice with everything varied, and compare bytes."""
    install_checkout(session)
    files = sorted(str(file) for file in Path("tests").rglob("test_determinism*.py"))
    if not files:
        session.error("there is no tests/**/test_determinism*.py")
    session.run("python", "-m", "pytest", "-m", "slow or not slow", *files, *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Runs that are killed, raced, starved and lied to, hundreds of times; arguments choose."""
    install_checkout(session)
    session.run("python", "-m", "tests.faults", *session.posargs)


@nox.session
def explore(session: nox.Session) -> None:
    """The properties of executor, store, sweeps, origins, diffs and merges, over many more
    examples."""
    install_checkout(session)
    many = {
        "ENGINE_EXAMPLES": "300",
        "STORE_EXAMPLES": "2000",
        "POINTS_EXAMPLES": "300",
        "ORIGINS_EXAMPLES": "200",
        "DIFF_EXAMPLES": "60",
        "MERGING_EXAMPLES": "600",
    }
    env = {name: os.environ.get(name, count) for name, count in many.items()}
    names = ("engine", "store_model", "points", "origins", "diff_effects", "merging")
    files = [f"tests/test_{name}.py" for name in names]
    session.run(*PYTEST, *files, *session.posargs, env=env)


@nox.session
def exact(session: nox.Session) -> None:
    """Generated scorers against fitted models, for each family, task and objective, generated code
    of each preparation, and bundles against fitted pipelines from raw records on: on 20,000 hostile
    rows each, or EXACT_ROWS."""
    install_checkout(session)
    env = {"EXACT_ROWS": os.environ.get("EXACT_ROWS", "20000")}
    names = ("scorers", "preparation_exact", "prove_hostile")
    files = [f"tests/test_{name}.py" for name in names]
    session.run(*PYTEST, "-m", "slow or not slow", *files, *session.posargs, env=env)


@nox.session
def prove(session: nox.Session) -> None:
    """Bundles of each family, and of adult where MLOPS_DATA names its folder, in environments made
    anew from the package index that is configured: `bundle --prove`, and READMEs' commands."""
    install_checkout(session)
    session.run(*PYTEST, "-m", "slow or not slow", PROOFS, *session.posargs)


@nox.session
def matrix(session: nox.Session) -> None:
    """Sources, splits, folds, preparations, families, options and tasks: any three together."""
    install_checkout(session)
    env = {"MATRIX_STRENGTH": os.environ.get("MATRIX_STRENGTH", "3")}
    session.run(*PYTEST, "tests/test_matrix.py", *session.posargs, env=env)


@nox.session
def servers(session: nox.Session) -> None:
    """Sources on a PostgreSQL server (of Debian's packages) and an S3 server, started for it."""
    if not shutil.which("initdb") and not [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]:
        session.error("PostgreSQL is not here: apt-get install postgresql")
    install_locked(session, SERVERS)
    session.install("--no-deps", "--editable", ".")
    session.run("python", "-m", "pytest", "tests/servers", *session.posargs)


@nox.session
def clients(session: nox.Session) -> None:
    """A service that is asked by clients of the Open Inference Protocol that others wrote."""
    install_locked(session, CLIENTS)
    session.install("--no-deps", "--editable", ".")
    session.run("python", "-m", "pytest", "tests/clients", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Services that schemathesis asks what their OpenAPI documents allow, and what they do not;
    arguments go to it (`-- --max-examples 1000`)."""
    install_locked(session, CLIENTS)
    session.install("--no-deps", "--editable", ".")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """The quick tests with branch coverage; the report lists what is left."""
    install_checkout(session)
    session.run(*PYTEST, "-m", "not slow", "--cov", "--cov-report=term", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format; `nox -s lint -- --fix` mends what it can."""
    install_locked(session, DEV)
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    install_locked(session, DEV)
    session.run("mypy", *session.posargs)
    session.run("mypy", *map(str, sorted(Path(".github/actions").glob("*/*.py"))))


@nox.session
def layers(session: nox.Session) -> None:
    """The import contracts of pyproject.toml."""
    install_locked(session, DEV)
    session.run("lint-imports", "--no-logo", *session.posargs)


@nox.session
def schema(session: nox.Session) -> None:
    """Write the JSON Schema that shells complete by, from the declarations of the config's keys."""
    install_checkout(session)
    session.run("python", "-m", "tests.generate_schema", *session.posargs)


@nox.session
def validation(session: nox.Session) -> None:
    """Write the tables of keys in docs/validation.md again, from their declarations."""
    install_checkout(session)
    session.run("python", "-m", "tests.generate_validation", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; arguments choose rows (`-- --help`)."""
    install_checkout(session)
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def parameters(session: nox.Session) -> None:
    """Regenerate the tables of the families' parameters from the installed libraries."""
    install_checkout(session)
    session.run("python", "tests/generate_parameters.py", *session.posargs)


@nox.session
def metrics(session: nox.Session) -> None:
    """Write the tables of docs/evaluation.md again, from the declarations."""
    install_checkout(session)
    session.run("python", "-m", "tests.generate_metrics", *session.posargs)


@nox.session
def errors(session: nox.Session) -> None:
    """Write docs/errors.md again, from the codes of problems and the catalogue of mistakes."""
    install_checkout(session)
    session.run("python", "-m", "tests.generate_errors", *session.posargs)


@nox.session
def data(session: nox.Session) -> None:
    """Write the tables of options in docs/data.md again, from the declarations."""
    install_checkout(session)
    session.run("python", "-m", "tests.generate_data", *session.posargs)


@nox.session
def preparation(session: nox.Session) -> None:
    """Write the tables of docs/preparation.md again, from the declarations."""
    install_checkout(session)
    session.run("python", "-m", "tests.generate_preparation", *session.posargs)


@nox.session
def hashes(session: nox.Session) -> None:
    """Write the digests that bundles' requirements carry again, from requirements/main.txt."""
    install_checkout(session)
    session.run("python", "-m", "tests.generate_hashes", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Resolve requirements/*.txt again; `-- --upgrade` moves to the newest versions."""
    session.install("uv>=0.13")
    # What is resolved later keeps to what was resolved before it.
    resolve(session, RUNTIME, "pyproject.toml")
    resolve(session, TEST, "pyproject.toml", "--group", "test", "--constraints", RUNTIME)
    resolve(session, DEV, "pyproject.toml", "--group", "dev", "--constraints", TEST)
    resolve(session, NOX, "--group", "nox", "--constraints", DEV)
    resolve(session, HYDRA14, "--group", "hydra14")
    resolve(session, CLIENTS, "pyproject.toml", "--group", "clients", "--constraints", TEST)
    extras = ("--extra", "postgres", "--extra", "s3")
    resolve(session, SERVERS, "pyproject.toml", "--group", "servers", *extras)


def resolve(session: nox.Session, output: str, *what: str) -> None:
    """One requirements file for every supported Python and platform, with hashes."""
    session.run(
        *("uv", "pip", "compile", *what, "--output-file", output, "--quiet"),
        *("--universal", "--python-version", PYTHONS[0], "--fork-strategy", "fewest"),
        *("--generate-hashes", "--no-header", "--no-annotate"),
        # pip asks for the extra of what is listed with one: `coverage` is not `coverage[toml]`.
        "--no-strip-extras",
        *("--no-emit-index-url", "--no-emit-find-links", *session.posargs),
    )
    file = ROOT / output
    text = file.read_text(encoding="utf-8")
    if "://" in text:
        session.error(f"{output} names a host")
    file.write_text(f"# Written by `nox -s lock`.\n{text}", encoding="utf-8", newline="\n")
