"""Two processes with half of the classes each give the loss and the gradients of one with all; three take over."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn import functional as F

from aifr_lib.losses import margins
from aifr_lib.losses.sharded import DRAWN, Sharded, ShardedHead, ShardedLinear, rows_of
from aifr_lib.names import ConfigError

BATCH, WIDTH, CLASSES, MANY = 8, 6, 11, 60


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
    return 20 * torch.randn(BATCH, WIDTH, generator=generator), labels


def weight(classes: int = CLASSES) -> torch.Tensor:
    return torch.randn(classes, WIDTH, generator=torch.Generator().manual_seed(2))


def taken(head: Sharded, classes: int = CLASSES) -> Sharded:
    head.head.weight.data = head.own(weight(classes)).clone()
    return head


def in_each(rank: int, world: int, port: int, out: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    embedding, labels = batch()
    mine = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    found: dict[str, object] = {}
    for name in margins.HEADS if world == 2 else ("arcface",):
        head = taken(ShardedHead(name, WIDTH, CLASSES))
        rows = embedding[mine].clone().requires_grad_()
        loss = head(rows, labels[mine])
        loss.backward()
        statistics = {key: value for key, value in head.head.state_dict().items() if key != "weight"}
        found[name] = (loss.detach(), rows.grad, head.head.weight.grad, statistics)
        whole = head.whole(head.head.weight)
        assert torch.equal(whole, weight()) if rank == 0 else whole is None
    linear = taken(ShardedLinear(WIDTH, CLASSES))
    linear.head.bias.data = linear.own(weight()[:, 0]).clone()
    rows = embedding[mine].clone().requires_grad_()
    loss = linear(rows, labels[mine])
    loss.backward()
    found["linear"] = (loss.detach(), rows.grad, linear.head.weight.grad, linear.head.bias.grad)
    torch.manual_seed(rank)
    for name, few in (
        ("sampled", ShardedHead("cosface", WIDTH, MANY, sampled=0.5)),
        ("sampled linear", ShardedLinear(WIDTH, MANY, sampled=0.5)),
    ):
        taken(few, MANY)(embedding[mine], labels[mine]).backward()
        found[name] = few.head.weight.grad
    torch.manual_seed(5)
    started = ShardedHead("cosface", WIDTH, DRAWN + 500)
    found["start"] = (started.head.weight.detach(), torch.rand(3))
    every = taken(ShardedHead("cosface", WIDTH, CLASSES, sampled=0.5)).eval()
    found["eval"] = every(embedding[mine], labels[mine]).detach()
    torch.save(found, out / f"{world}-{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def launched(tmp_path_factory) -> dict[int, list[dict]]:
    out = tmp_path_factory.mktemp("sharded")
    found = {}
    for world in (2, 4):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        multiprocessing.spawn(in_each, (world, port, out), nprocs=world)
        found[world] = [torch.load(out / f"{world}-{rank}.pt", weights_only=True) for rank in range(world)]
    return found


def alone(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Loss, gradients and statistics of the plain head with all classes in one process."""
    head = margins.build(name, WIDTH, CLASSES)
    head.weight.data = weight()
    embedding, labels = batch()
    embedding.requires_grad_()
    loss = F.cross_entropy(head(embedding, labels), labels)
    loss.backward()
    statistics = {key: value for key, value in head.state_dict().items() if key != "weight"}
    return loss.detach(), embedding.grad, head.weight.grad, statistics


@pytest.mark.parametrize("name", margins.HEADS)
def test_two_processes_give_the_gradients_of_one(launched, name: str) -> None:
    loss, of_embedding, of_weight, statistics = alone(name)
    parts = [found[name] for found in launched[2]]
    for part in parts:
        torch.testing.assert_close(part[0], loss)
        torch.testing.assert_close(part[3], statistics)
    # DDP takes the mean over processes of what the backbone is given.
    torch.testing.assert_close(torch.cat([part[1] for part in parts]) / 2, of_embedding)
    torch.testing.assert_close(torch.cat([part[2] for part in parts]), of_weight)


def test_another_number_of_processes_takes_over_and_gives_the_same(launched) -> None:
    loss, of_embedding, of_weight, _ = alone("arcface")
    parts = [found["arcface"] for found in launched[4]]
    torch.testing.assert_close(parts[3][0], loss)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]) / 4, of_embedding)
    torch.testing.assert_close(torch.cat([part[2] for part in parts]), of_weight)


def test_two_processes_give_the_gradients_of_one_linear_classifier(launched) -> None:
    linear = torch.nn.Linear(WIDTH, CLASSES)
    linear.weight.data, linear.bias.data = weight(), weight()[:, 0].clone()
    embedding, labels = batch()
    embedding.requires_grad_()
    loss = F.cross_entropy(linear(embedding), labels)
    loss.backward()
    parts = [found["linear"] for found in launched[2]]
    torch.testing.assert_close(parts[0][0], loss.detach())
    torch.testing.assert_close(torch.cat([part[1] for part in parts]) / 2, embedding.grad)
    for place, wanted in ((2, linear.weight.grad), (3, linear.bias.grad)):
        torch.testing.assert_close(torch.cat([part[place] for part in parts]), wanted)


@pytest.mark.parametrize("name", ["sampled", "sampled linear"])
def test_sampled_negatives_leave_the_rest_of_the_people_alone(launched, name: str) -> None:
    """Of 30 classes a process, 15 are sampled; those of the batch are among them."""
    _, labels = batch()
    for rank, found in enumerate(launched[2]):
        rows = rows_of(MANY, rank, 2)
        moved = set((found[name].abs().sum(1) > 0).nonzero()[:, 0].tolist())
        people = {int(label) - rows.start for label in labels if int(label) in rows}
        assert people <= moved and len(moved) == 15


def test_where_the_batch_may_hold_more_people_than_are_sampled_there_is_room_for_them() -> None:
    head = ShardedHead("cosface", WIDTH, MANY, sampled=0.02)
    embedding, labels = batch()
    head(embedding, labels).backward()
    moved = (head.head.weight.grad.abs().sum(1) > 0).sum()
    assert moved == BATCH > round(0.02 * MANY)


def test_the_start_is_that_of_the_whole_head_over_any_number_of_processes(launched) -> None:
    torch.manual_seed(5)
    whole, after = margins.build("cosface", WIDTH, DRAWN + 500).weight.detach(), torch.rand(3)
    for world, processes in launched.items():
        parts = [found["start"] for found in processes]
        assert torch.equal(torch.cat([part[0] for part in parts]), whole), world
        assert all(torch.equal(part[1], after) for part in parts), "what is drawn next is the same, too"


def test_in_evaluation_all_people_are_there(launched) -> None:
    head = margins.build("cosface", WIDTH, CLASSES)
    head.weight.data = weight()
    embedding, labels = batch()
    wanted = F.cross_entropy(head(embedding, labels), labels).detach()
    torch.testing.assert_close(launched[2][0]["eval"], wanted)


def test_without_processes_it_is_the_head_itself() -> None:
    head = taken(ShardedHead("adaface", WIDTH, CLASSES))
    embedding, labels = batch()
    embedding.requires_grad_()
    loss = head(embedding, labels)
    loss.backward()
    wanted = alone("adaface")
    torch.testing.assert_close((loss.detach(), embedding.grad, head.head.weight.grad), wanted[:3])


@pytest.mark.parametrize(("classes", "world"), [(11, 2), (11, 4), (7, 7), (1_000_000, 3)])
def test_every_class_has_one_home(classes: int, world: int) -> None:
    homes = [rows_of(classes, rank, world) for rank in range(world)]
    assert [home.start for home in homes] == [0, *(home.stop for home in homes[:-1])] and homes[-1].stop == classes
    assert max(map(len, homes)) - min(map(len, homes)) <= 1


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="of which 0 is sampled"):
        ShardedHead("arcface", WIDTH, CLASSES, sampled=0)
    with pytest.raises(ConfigError, match="10 classes are stored, wanted 11"):
        ShardedHead("arcface", WIDTH, CLASSES).own(weight()[:10])
