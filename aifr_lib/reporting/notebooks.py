"""Execute the notebooks with papermill: one kernel each, checked parameters, a time limit, progress by cell.

An executed notebook carries in its metadata what it was made from, so that a second call can see that nothing
has changed: the script, the parameters, the preset's values, the library's code, the artefacts and the runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aifr_lib.files import atomic_write, repository_root, settle_folders
from aifr_lib.names import ConfigError, nearest
from aifr_lib.progress import ALONE
from aifr_lib.reporting import contents
from aifr_lib.reporting.runs import code_digest
from aifr_lib.reporting.scripts import check_parameters, derive, parameters_of, script, scripts
from aifr_lib.settings.presets import load_preset

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Minutes before a notebook is given up. Classroom and paper size train for hours, so theirs only ends a hang.
TIMEOUT_MINUTES = {"smoke": 15.0, "lesson": 45.0, "classroom": 24 * 60.0, "paper": 14 * 24 * 60.0}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

BAR = re.compile(r"\d+%\||^\s*$")
BAR_EVERY = 10.0  # seconds between two lines of a notebook's bars

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """Where and why a notebook stopped: code cell ``cell`` of ``cells``; ``notebook`` is half executed."""

    cell: int
    cells: int
    reason: str
    notebook: Path


@dataclass(frozen=True)
class Executed:
    """What became of one notebook. ``skipped``: nothing had changed, the executed one was there already."""

    name: str
    output: Path
    wall_s: float
    skipped: bool = False
    failure: Failure | None = None


@dataclass(frozen=True)
class Task:
    """One notebook to run, as ``run`` takes it."""

    name: str
    preset: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output: Path | None = None
    fresh: bool = False
    timeout: float | None = None


class _Bars:
    """A file for what a kernel writes to standard error: hands on its progress bars, one line in ten seconds."""

    def __init__(self, name: str, say: Progress) -> None:
        self.name, self.say, self.said = name, say, time.monotonic()

    def write(self, text: str) -> None:
        bars = [line.strip() for line in re.split(r"[\r\n]", text) if re.search(r"\d+%\|", line)]
        if bars and time.monotonic() - self.said >= BAR_EVERY:
            self.said = time.monotonic()
            self.say(f"{self.name}: {bars[-1]}")

    def flush(self) -> None:
        """Nothing waits here."""


def items_of(name: str) -> list[str]:
    """The ids of the tables and figures that a notebook makes."""
    return [content.id for content in contents.load() if content.notebook == name]


def resolve(ids: Sequence[str]) -> list[str]:
    """The notebooks behind names of notebooks, tables and figures, each once; all that are written, for none.

    Errors: ConfigError for an unknown id, with the nearest, and for one whose notebook is not written yet.
    """
    written = scripts()
    makers = {content.id: content.notebook for content in contents.load()}
    makers |= {name: name for name in (*makers.values(), *written)}
    names = []
    for item in ids or written:
        if item not in makers:
            raise ConfigError(f"no notebook, table or figure '{item}'{nearest(item, makers)}")
        if makers[item] not in written:
            raise ConfigError(f"'{item}' cannot be run: its notebook '{makers[item]}' is not written yet")
        names.append(makers[item])
    return list(dict.fromkeys(names))


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _values(name: str, preset: str, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """What overrides the parameters cell; a relative ``out`` means the caller's folder, not the kernel's."""
    if "preset" in (parameters or {}):
        raise ConfigError("the preset is no parameter to set: choose it by --preset")
    values = {**check_parameters(name, parameters or {}), "preset": preset}
    if values.get("out"):
        values["out"] = str(Path(values["out"]).resolve())
    return values


def _made_from(name: str, preset: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"inputs": _inputs(name, preset, values), **_results(name, preset, values)}


def _inputs(name: str, preset: str, values: Mapping[str, Any]) -> str:
    return _sha256(
        script(name).read_bytes(),
        json.dumps(values, sort_keys=True).encode(),
        load_preset(preset).model_dump_json().encode(),
        code_digest().encode(),
    )


def _results(name: str, preset: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Digests of the notebook's artefacts and the runs it rests on.

    A notebook that computes rests on the runs its artefacts name; one that only shows what is there
    (``compute`` is false) rests on every run of the preset, since a new one may fill a gap.
    """
    figures = Path(values.get("out") or repository_root() / "figures" / preset)
    artefacts, named = {}, set()
    for item in items_of(name):
        path = figures / item / f"{item}.json"
        if path.is_file():
            content = path.read_bytes()
            artefacts[item] = _sha256(content)
            named |= set(json.loads(content)["runs"])
    present = {run.name for run in (figures / "_runs").glob("[!.]*")}
    return {
        "artefacts": artefacts,
        "runs": sorted(present & named if values.get("compute", True) else present),
    }


def default_output(name: str, preset: str) -> Path:
    """Where an executed notebook goes: ``build/notebooks/<preset>/NAME.ipynb``, which git ignores."""
    return repository_root() / "build" / "notebooks" / preset / f"{name}.ipynb"


def up_to_date(name: str, preset: str, parameters: Mapping[str, Any] | None = None, output: Path | None = None) -> bool:
    """Whether the executed notebook is there and nothing that it was made from has changed since."""
    output = output or default_output(name, preset)
    values = _values(name, preset, parameters)
    try:
        made_from = json.loads(output.read_text(encoding="utf-8"))["metadata"]["aifr"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return False
    return made_from == _made_from(name, preset, values)


def run(
    name: str,
    preset: str,
    parameters: Mapping[str, Any] | None = None,
    output: Path | None = None,
    *,
    fresh: bool = False,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Executed:
    """Execute one notebook at a preset in a kernel of its own, unless nothing has changed since last time.

    output: the executed notebook (default ``default_output``), written whole or not at all; one that fails is
    left half executed beside ``default_output`` and named in ``Executed.failure``.
    fresh: execute although nothing changed, and tell a notebook that has a parameter ``fresh`` to forget its
    stored runs. timeout: minutes for all of it. progress: takes one line.
    Errors: ConfigError for an unknown notebook, preset or parameter.
    """
    say = progress or (lambda line: None)
    output = output or default_output(name, preset)
    values = _values(name, preset, parameters)
    start = time.monotonic()
    if not fresh and up_to_date(name, preset, parameters, output):
        say(f"{name}: up to date")
        return Executed(name, output, time.monotonic() - start, skipped=True)

    # Loaded here, because they take seconds and are not needed to see that nothing has changed.
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    settle_folders()  # the kernel works in another folder
    # Taken before it runs: an edit made meanwhile must not count as run.
    inputs = _inputs(name, preset, values)
    notebook = derive(script(name))
    # An executed notebook has no kernel behind it any more, so a widget on it would be dead.
    notebook.cells = [cell for cell in notebook.cells if "live" not in cell.metadata.get("tags", [])]
    # For the kernel, which inherits it.
    os.environ[ALONE] = "1"
    cells = 1 + sum(cell.cell_type == "code" for cell in notebook.cells)
    minutes = timeout if timeout is not None else TIMEOUT_MINUTES[preset]
    unfinished = default_output(name, preset).with_suffix(".unfinished.ipynb")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    at = 0
    bars = _Bars(name, say)

    def on_cell_start(cell: NotebookNode, cell_index: int) -> None:
        nonlocal at
        if cell.cell_type == "code":
            at += 1
            say(f"{name}: cell {at}/{cells}")
            bars.said = time.monotonic()

    try:
        executed = papermill.execute_notebook(
            notebook,
            str(unfinished).replace("{", "{{").replace("}", "}}"),
            {**values, "fresh": True} if fresh and "fresh" in parameters_of(name) else values,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=script(name).parent,
            extra_arguments=["--log-level=CRITICAL"],
            on_cell_start=on_cell_start,
            stderr_file=bars,
            timeout_func=lambda cell: max(1.0, start + 60 * minutes - time.monotonic()),
        )
    except papermill.PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        reason = f"stopped after {minutes:g} minutes"
    except DeadKernelError:
        reason = "the kernel died (out of memory?)"
    else:
        _publish(executed, {"inputs": inputs, **_results(name, preset, values)}, output)
        unfinished.unlink()
        wall_s = time.monotonic() - start
        say(f"{name}: done in {wall_s:.0f} s")
        return Executed(name, output, wall_s)
    say(f"{name}: failed in cell {at}/{cells}: {reason}")
    return Executed(name, output, time.monotonic() - start, failure=Failure(at, cells, reason, unfinished))


def _publish(notebook: NotebookNode, made_from: Mapping[str, Any], output: Path) -> None:
    """Write the executed notebook: no parameter cells, progress bars gone, its origin noted."""
    import nbformat

    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if {"parameters", "injected-parameters"} & set(tags):
            cell.metadata["tags"] = [*tags, "remove-cell"]
            cell.metadata["jupyter"] = {"source_hidden": True}
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _is_bar(output)]
    notebook.metadata["aifr"] = made_from
    with atomic_write(output) as temporary:
        nbformat.write(notebook, temporary)


def _is_bar(output: NotebookNode) -> bool:
    """Whether an output is what a progress bar left behind: of use while it moved, noise on a page."""
    return output.output_type == "stream" and output.name == "stderr" and bool(BAR.search(output.text))


def run_all(tasks: Sequence[Task], *, jobs: int = 1, progress: Progress | None = None) -> list[Executed]:
    """Execute notebooks, ``jobs`` at a time, going on after one that fails; results in the tasks' order.

    With several jobs each kernel gets its share of the processors, and ``progress`` must be picklable.
    Errors: ConfigError, before anything runs, where a task names an unknown notebook or parameter.
    """
    for task in tasks:
        check_parameters(task.name, task.parameters)
    if jobs == 1:
        return [_run_task(task, progress) for task in tasks]
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _limit_threads, (threads,)) as pool:
        futures = {pool.submit(_run_task, task, progress): index for index, task in enumerate(tasks)}
        try:
            done = {futures[future]: future.result() for future in as_completed(futures)}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [done[index] for index in range(len(tasks))]


def _limit_threads(threads: int) -> None:
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def _run_task(task: Task, progress: Progress | None) -> Executed:
    return run(**vars(task), progress=progress)
