"""A real cluster: Slurm with two nodes on this machine. An array of four runs, a job that is queued up again in the
middle of a training, one training over two nodes. All are submitted at once and looked at in turn.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path("/etc/slurm/slurm.conf")  # the one place that a step within a job finds without being told
OURS = "ClusterName=aifrtest"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
AIFR = f"{sys.executable} -m aifr_lib.cli"
TRAINING = "train recognition --preset smoke -p batch=16 -p epochs=40"
STEPS = 480  # of it: some ten seconds, so that it can be met in its middle
QUEUE = ("run-queue", "--preset", "smoke", "--submit", "slurm")
PATIENCE = 900  # seconds

SLURM = """\
{ours}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={at}/munge/munge.socket,cred_expire=20
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmctldPidFile={at}/slurmctld.pid
SlurmdPidFile={at}/slurmd-%n.pid
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool-%n
SlurmctldLogFile={at}/log/slurmctld.log
SlurmdLogFile={at}/log/slurmd-%n.log
SlurmctldTimeout=30
SlurmdTimeout=30
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=8000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def run(*command: str, **more) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, **more)
    assert done.returncode == 0, f"{command}: {done.stdout[-1000:]} {done.stderr[-2000:]}"
    return done.stdout


def until(there: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.3)


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    """The cluster, up; below a short path, as that of a socket may be no longer."""
    if lacking := [program for program in PROGRAMS if shutil.which(program) is None]:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no {lacking[0]}: CI must submit jobs (apt-get install slurmctld slurmd slurm-client munge)")
        pytest.skip(f"no {lacking[0]} here: nothing is submitted to a cluster")
    if os.geteuid() or not CONFIG.parent.is_dir():
        pytest.skip("Slurm's own configuration can be written by root alone")
    if CONFIG.exists() and OURS not in CONFIG.read_text():
        pytest.skip(f"{CONFIG} is that of a cluster which is no test")
    try:
        with FileLock(CONFIG.with_name("aifrtest.lock"), timeout=1):
            # Not where temporary files usually are: the path of a socket must be short.
            at = Path(f"/tmp/aifr-slurm-{os.getpid()}")  # noqa: S108
            try:
                start(at)
                yield
            finally:
                stop(at)
    except Timeout:
        pytest.skip("another run of the tests has a cluster up")


def start(at: Path) -> None:
    for name in ("munge", "state", "log"):
        (at / name).mkdir(parents=True, mode=0o700)
    host = run("hostname", "-s").strip()
    CONFIG.write_text(SLURM.format(ours=OURS, host=host, at=at, ports=free_ports(3)))
    key = at / "munge" / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid"}
    files |= {"log-file": "munged.log", "seed-file": "munged.seed"}
    run("munged", "--force", *(f"--{option}={at}/munge/{name}" for option, name in files.items()))
    run("slurmctld")
    for node in ("n1", "n2"):
        run("slurmd", "-N", node)
    until(lambda: run("sinfo", "--noheader", "--format=%T").strip() == "idle", "two idle nodes")


def stop(at: Path) -> None:
    pids = [at / "slurmd-n1.pid", at / "slurmd-n2.pid", at / "slurmctld.pid", at / "munge" / "munged.pid"]
    if shutil.which("scancel") and (at / "slurmctld.pid").exists():
        subprocess.run(["scancel", "--user=root"], check=False, timeout=60)
    running = [int(path.read_text()) for path in pids if path.exists()]
    for process in running:
        os.kill(process, 15)
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in running), "the end of the cluster")
    CONFIG.unlink(missing_ok=True)
    shutil.rmtree(at, ignore_errors=True)


@pytest.fixture(scope="module")
def submitted(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout from which all jobs were submitted; each writes OUT-NAME below it."""
    pytest.importorskip("submitit", reason="needs the extra 'cluster'")
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "_toc.yml").touch()
    (checkout / "notebooks").mkdir()
    more = {"cwd": checkout, "env": environment(checkout)}
    job = f"#!/bin/bash\nexec {AIFR} {TRAINING} --out requeued\n"
    (checkout / "number").write_text(submit(job, "requeued", **more))
    first = r"train: .*img/s[\s\S]*train: .*img/s"  # the bar as it begins, and once moved
    until(lambda: re.search(first, said(checkout)) or "checksum" in said(checkout), "the first steps of a training")
    run("scontrol", "requeue", (checkout / "number").read_text())
    (checkout / "queued").write_text(run(*AIFR.split(), *QUEUE, "tml_tuning", **more))
    launch = f"{sys.executable} -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d"
    meeting = f"--rdzv-endpoint 127.0.0.1:{free_ports(1)[0]} --rdzv-id together"
    command = (
        f"{launch} {meeting} -m aifr_lib.cli train recognition --preset smoke -p batch=16 -p epochs=1 --out together"
    )
    submit(f"#!/bin/bash\nsrun {command}\n", "together", "--nodes=2", "--ntasks-per-node=1", **more)
    until(lambda: not run("squeue", "--noheader"), "the end of all jobs")
    return checkout


def environment(checkout: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    cache = {"AIFR_CACHE": str(checkout / "cache"), "ACCELERATE_USE_CPU": "true"}
    return {**os.environ, **cache, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def said(checkout: Path) -> str:
    """What the job that is queued up again has said so far."""
    output = checkout / "out-requeued"
    return output.read_text() if output.exists() else ""


def submit(script: str, name: str, *options: str, **more) -> str:
    output = f"--output=out-{name}"
    return run(
        "sbatch", "--parsable", "--requeue", "--open-mode=append", output, *options, input=script, **more
    ).strip()


def test_an_array_has_each_of_four_runs_computed_once(submitted: Path) -> None:
    assert "4 runs, 4 missing" in (submitted / "queued").read_text()
    runs = sorted(path.name for path in (submitted / "figures" / "smoke" / "_runs").iterdir())
    logs = [path.read_text() for path in (submitted / "cache" / "slurm").glob("*.out")]
    assert len(runs) == 4 and "".join(logs).count("Job completed successfully") == 4


def test_a_training_queued_up_again_in_its_middle_has_the_weights_of_an_unbroken_one(submitted: Path) -> None:
    stopped = re.search(rf"stopped at step (\d+) of {STEPS}", said(submitted))
    assert stopped and 0 < int(stopped[1]) < STEPS, said(submitted)[-2000:]
    more = {"cwd": submitted, "env": environment(submitted)}
    unbroken = run(*AIFR.split(), *TRAINING.split(), "--out", "unbroken", **more)
    (checksum,) = (line for line in unbroken.splitlines() if line.startswith("checksum"))
    assert checksum in said(submitted)


def test_two_nodes_train_one_network(submitted: Path) -> None:
    output = (submitted / "out-together").read_text()
    assert output.count("checksum") == 1, output[-2000:]
    steps = [json.loads(line)["step"] for line in (submitted / "together" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) and (submitted / "together" / "weights.safetensors").is_file()


def test_what_the_cluster_refuses_is_said_in_a_line(submitted: Path) -> None:
    asked = [*AIFR.split(), *QUEUE, "tml_fig6", "--slurm", "partition=night"]
    more = {"cwd": submitted, "env": environment(submitted)}
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=PATIENCE, **more)
    assert done.returncode == 2 and "invalid partition" in done.stderr.lower(), done.stderr[-2000:]
