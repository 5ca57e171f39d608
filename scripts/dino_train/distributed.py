"""The processes that train together: one per GPU, or several on a CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .networks import has_batch_norm

# The first process measures k-NN and saves while the others wait.
TIMEOUT = timedelta(hours=2)


@dataclass(frozen=True)
class Group:
    """This process among those of the run.

    Attributes:
        rank: number of this process in [0, world).
        world: number of processes.
        device: what this process computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """True for the process that writes files and prints."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Averages a tensor over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(values)
            values /= self.world
        return values

    def wait(self) -> None:
        """Waits until all processes are here."""
        if self.world > 1:
            dist.barrier()

    def wrap(self, network: nn.Module) -> nn.Module:
        """Makes a network's gradients the mean over all processes."""
        if self.world == 1:
            return network
        gpu = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=gpu)

    def synchronise_batch_norm(self, network: nn.Module) -> nn.Module:
        """Lets batch normalisation see the batches of all processes, which needs GPUs."""
        if self.world == 1 or not has_batch_norm(network):
            return network
        if self.device.type == "cuda":
            return nn.SyncBatchNorm.convert_sync_batchnorm(network)
        if self.is_main:
            print("batch normalisation sees the batch of its own process on a CPU", flush=True)
        return network


@contextmanager
def join_group(device: str = "auto", dist_url: str = "env://") -> Iterator[Group]:
    """Joins the processes that torchrun, or a launcher that sets the same variables, started.

    Args:
        device: auto, cpu, cuda or cuda:N. With several processes each takes the GPU of its local
            rank.
        dist_url: where the processes meet; env:// reads MASTER_ADDR and MASTER_PORT.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0")) if world > 1 else 0
    local_rank = int(os.environ.get("LOCAL_RANK", "0")) if world > 1 else 0
    place = choose_device(device, local_rank)
    if world == 1:
        yield Group(0, 1, place)
        return
    gpu = place if place.type == "cuda" else None
    if gpu:
        torch.cuda.set_device(gpu)
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        init_method=dist_url,
        rank=rank,
        world_size=world,
        timeout=TIMEOUT,
        device_id=gpu,
    )
    try:
        yield Group(rank, world, place)
    finally:
        dist.destroy_process_group()


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device that --device names; `auto` is a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        return torch.device("cuda", local_rank)
    return torch.device(name)


def without_sync(network: nn.Module, last: bool) -> AbstractContextManager:
    """Keeps gradients local in all passes of a step but the last."""
    if isinstance(network, DistributedDataParallel) and not last:
        return network.no_sync()
    return nullcontext()
