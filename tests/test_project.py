"""The files that hold the project together agree with each other."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import pythons
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


PYTHONS = [
    line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: Python :: 3\.\d+$", line)
]  # that this is tested under, the first of them in full


def names(requirements):
    named = {re.split(r"[<>=!~\[ ;]", requirement, maxsplit=1)[0].lower() for requirement in requirements}
    return named - {PROJECT["name"]}  # an extra that brings another one


def test_conda_brings_python_and_pip_the_rest_as_the_project_asks_for_it():
    """A package that is named has the bounds of pyproject.toml; no channel is asked for one."""
    python, pip, brought = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert (python, pip) == (f"python={PYTHONS[0]}", "pip")
    *named, line = brought["pip"]
    wanted = PROJECT["dependencies"] + [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
    assert {"torch", "torchvision", "jupyter-book", "papermill"} < names(named) and set(named) <= set(wanted)
    asked = re.fullmatch(r"-e \.\[([\w,]+)\]", line)[1].split(",")
    assert {"book", "real", "dev"} == set(asked) <= set(PROJECT["optional-dependencies"])


def test_every_file_names_the_pythons_that_are_tested():
    assert ["3.11", *pythons.OTHERS] == PYTHONS and PROJECT["requires-python"] == f">={PYTHONS[0]}"
    for page in ("README.md", "CONTRIBUTING.md", "book/how-to/run.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert set(re.findall(r"(?<![\d.])3\.1\d\b", text)) == set(PYTHONS), page
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert (tools["ruff"]["target-version"], tools["mypy"]["python_version"]) == ("py311", PYTHONS[0])
    assert f"PYTHON ?= python{PYTHONS[0]}\n" in (ROOT / "Makefile").read_text()


def test_lock_file_pins_every_named_package_exactly_and_each_of_its_files():
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[\w.\-]+==[\w.+!]+( ; [^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", line) for line in lines)
    wanted = names(PROJECT["dependencies"]).union(*map(names, PROJECT["optional-dependencies"].values()))
    normal = {re.sub(r"[-_.]+", "-", name) for name in names(lines)}
    assert {re.sub(r"[-_.]+", "-", name) for name in wanted} <= normal


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_file_holds_what_its_packages_ask_for_under_each_python(python):
    """Some ask for more under one Python alone; what the lock does not hold, pip refuses to install."""
    locked = re.findall(r"^[\w.\-]+(?===)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    here = [one for one in locked if metadata_of(one) is not None]
    assert len(here) > 100
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    for name in here:
        for requirement in map(Requirement, metadata_of(name)):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                assert canonicalize_name(requirement.name) in locked, f"{name} asks for {requirement}"


def test_no_locked_package_asks_for_a_later_release_of_the_first_python():
    """Debian 12 has 3.11.2, where a package for 3.11.5 and later is refused."""
    for name in re.findall(r"^[\w.\-]+(?===)", (ROOT / "requirements.lock").read_text(), re.MULTILINE):
        if metadata_of(name) is not None:
            asked = importlib.metadata.metadata(name)["Requires-Python"] or ""
            assert SpecifierSet(asked).contains(f"{PYTHONS[0]}.0"), f"{name} asks for Python {asked}"


def metadata_of(name):
    """What a package asks for; None for one that is not installed here."""
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return None


def test_readme_shows_both_commands():
    readme = (ROOT / "README.md").read_text()
    assert "make book" in readme
    assert "make test" in readme


def test_no_foreign_host_or_machine_path_in_tracked_text():
    """What a clone shows speaks of the project alone."""
    hosts = re.compile("|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs"]))
    paths = re.compile("/(?:" + "|".join(["work", "root", "home/[a-z]"]) + ")/")
    for path in ROOT.rglob("*"):
        relative = path.relative_to(ROOT).as_posix()
        skipped = (".git/", ".venv/", "_build/", "build/", "book/_executed/", "figures/")
        if relative.startswith(skipped) or path.suffix not in {".py", ".md", ".yml", ".yaml", ".toml", ".lock"}:
            continue
        text = path.read_text(encoding="utf-8")
        assert not hosts.search(text), relative
        assert not paths.search(text), relative


def test_the_indexed_job_of_the_book_is_one_that_kubernetes_takes():
    """What the API server checks of a Job, as far as the text goes: kinds, indices, mounts with their volumes."""
    page = (ROOT / "book" / "how-to" / "cluster.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    job = yaml.safe_load(block)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job") and re.fullmatch(
        r"[a-z0-9-]+", job["metadata"]["name"]
    )
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed" and 1 <= spec["parallelism"] <= spec["completions"]
    assert pod["restartPolicy"] == "Never", "what backoffLimitPerIndex asks for"
    (container,) = pod["containers"]
    assert container["command"][:2] == ["aifr", "run-queue"] and all(
        isinstance(one, str) for one in container["command"]
    )
    assert all(isinstance(one["value"], str) for one in container["env"])
    mounted, volumes = ({one["name"] for one in held} for held in (container["volumeMounts"], pod["volumes"]))
    assert mounted == volumes
    shared = next(one["mountPath"] for one in container["volumeMounts"] if one["name"] == "shared")
    assert all(one["value"].startswith(shared) for one in container["env"])


def test_ci_brings_the_programs_that_tests_ask_for():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert all(name in script for name in ("chromium", "slurmctld", "slurmd", "slurm-client", "munge"))
