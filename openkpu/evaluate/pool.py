# SPDX-License-Identifier: Apache-2.0
"""Where pictures are worked on: this process, processes on this computer, or a cluster, by Dask distributed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from ..errors import DeviceError, OpenKPUError
from .extra import needed
from .job import Job

CONNECT_SECONDS = 30.0
ALONE_SECONDS = 120.0  # without any worker
POLL_SECONDS = 1.0
DEATHS = 2   # of workers that a task may cost
AHEAD = 3  # tasks per worker that are under way

Task = tuple[Any, ...]
"""Arguments of the function behind the job."""


class WorkerDied(Exception):
    """The processes that worked on a task died, several times."""


class Pool(Protocol):
    """Calls ``function(job, *task)`` for many tasks, somewhere."""

    workers: int

    def run(self, function: Callable[..., Any], job: Job, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """Yield every task with its result, as they come. A result may be :class:`WorkerDied`."""

    def close(self) -> None:
        """End what was started."""


class Here:
    """This process."""

    workers = 1

    def run(self, function: Callable[..., Any], job: Job, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """One after another."""
        for task in tasks:
            yield task, function(job, *task)

    def close(self) -> None:
        """Nothing was started."""


class Cluster:
    """Dask workers: ``jobs`` processes on this computer, or those of a scheduler.

    Parameters
    ----------
    address : "tcp://host:port" of a scheduler; None starts processes here.

    Raises
    ------
    UsageError
        Dask is not installed.
    DeviceError
        There is no scheduler at the address, or it has no workers in time.
    """

    def __init__(self, address: str | None, jobs: int = 1):
        self._dask = needed("distributed", "several jobs or a cluster")
        needed("dask", "several jobs or a cluster").config.set({
            "distributed.comm.timeouts.connect": CONNECT_SECONDS,
            "distributed.scheduler.allowed-failures": DEATHS - 1})  # of an own cluster; others have their own rules
        self._own = None
        self._shared: list[str] = []
        try:
            if address is None:
                self._own = self._dask.LocalCluster(n_workers=jobs, threads_per_worker=1, processes=True,
                                                    host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50)
            self._client = self._dask.Client(self._own or address, timeout=CONNECT_SECONDS)
            self._client.wait_for_workers(jobs if address is None else 1, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            self.close()
            where = address or "this computer"
            raise DeviceError(f"no Dask worker answers at {where} within {CONNECT_SECONDS:.0f} s ({error}); start "
                              "'dask scheduler' and 'dask worker', or check the address") from error
        self.workers = max(len(self._client.ncores()), 1)

    def run(self, function: Callable[..., Any], job: Job, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """As tasks finish. Tasks of a worker that dies go to others; one that kills several is given up.

        Dask blames all tasks that wait on a worker for its death. So one that it gives up runs once more, with no
        other beside it, when the rest is done.
        """
        self._share(job)
        left = iter(tasks)
        pending: dict[Any, Task] = {}
        suspects: list[Task] = []
        alone = False
        alive = time.monotonic()
        try:
            while True:
                for task in left:
                    pending[self._client.submit(_call, function, job.key, *task, pure=False)] = task
                    if len(pending) >= AHEAD * self.workers:
                        break
                if not pending and suspects:
                    alone, task = True, suspects.pop()
                    pending[self._client.submit(_call, function, job.key, *task, pure=False)] = task
                if not pending:
                    return
                with suppress(TimeoutError):
                    self._dask.wait(list(pending), timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")
                    alive = time.monotonic()
                self._check(alive)
                for future in [f for f in pending if f.done()]:
                    task = pending.pop(future)
                    result = self._result(future)
                    if isinstance(result, WorkerDied) and not alone:
                        suspects.append(task)
                    else:
                        yield task, result
        finally:
            with suppress(Exception):
                self._client.cancel(list(pending))

    def _share(self, job: Job) -> None:
        """Give the job, with its model, to every worker there is and will be."""
        if job.key not in self._shared:
            self._client.register_plugin(_holder(job), name=f"openkpu-{job.key}")
            self._shared.append(job.key)

    def _check(self, alive: float) -> None:
        """DeviceError if nobody works any more."""
        if self._client.status not in ("running", "newly-created"):
            raise DeviceError("the connection to the cluster's scheduler is lost; finished pictures are kept, start it "
                              "again and repeat the command")
        count = len(self._client.scheduler_info().get("workers", ()))
        self.workers = max(count, 1)
        if not count and time.monotonic() - alive > ALONE_SECONDS:
            raise DeviceError(f"the cluster has had no worker for {ALONE_SECONDS:.0f} s; finished pictures are kept, "
                              "start workers and repeat the command")

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except self._dask.scheduler.KilledWorker:
            return WorkerDied()
        except (OpenKPUError, KeyboardInterrupt):
            raise
        except Exception as error:
            if future.cancelled():
                raise DeviceError("the cluster has given up a task; finished pictures are kept, repeat the command") \
                    from error
            raise

    def close(self) -> None:
        """End own processes; leave a cluster as it was."""
        for key in self._shared:
            with suppress(Exception):
                self._client.unregister_worker_plugin(f"openkpu-{key}")
        for part in ("_client", "_own"):
            with suppress(Exception):
                if getattr(self, part, None) is not None:
                    getattr(self, part).close()


def _holder(job: Job) -> Any:
    """What brings a job to a worker. A class of Dask's kind can only be made once Dask is imported."""
    from distributed import WorkerPlugin

    class Holder(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            from openkpu.evaluate import pool

            pool.jobs[job.key] = job

    return Holder()


jobs: dict[str, Job] = {}
"""The jobs that this worker has been given, by key."""


def _call(function: Callable[..., Any], key: str, *task: Any) -> Any:
    return function(jobs[key], *task)


def open_pool(jobs: int, address: str | None) -> Pool:
    """One job in this process, several in their own, or a cluster's."""
    return Here() if jobs == 1 and address is None else Cluster(address, jobs)
