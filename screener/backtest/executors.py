"""Where the batches of a sweep are worked: in this process, on all cores of a machine, or on a Dask cluster.

One argument says where: 1, a number of processes, or the address of a Dask scheduler, `tcp://host:8786`. What all
batches share goes to each worker once. BLAS runs on one thread everywhere: with more, the last bits of a sum would
depend on how many cores there are. A batch whose worker died is worked again.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from threadpoolctl import threadpool_limits

from screener.errors import ScreenerError, UserError

Shared = TypeVar("Shared")
Batch = TypeVar("Batch")
Result = TypeVar("Result")
MOST_PROCESSES = 512
ATTEMPTS = 3  # of a batch whose worker dies
CONNECT = 10  # seconds until a cluster counts as not there
ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")


@dataclass(frozen=True, slots=True)
class Workers:
    """Who works: so many processes of this machine, or the cluster at an address."""

    processes: int = 1
    address: str = ""


def parse_workers(text: str) -> Workers:
    """Return the workers of words such as `1`, `8` or `tcp://10.0.0.5:8786`. Raises UserError."""
    words = text.strip()
    if re.fullmatch(r"\d{1,6}", words) and 1 <= int(words) <= MOST_PROCESSES:
        return Workers(int(words))
    if ADDRESS.fullmatch(words):
        return Workers(address=words)
    raise UserError(
        f"--workers {text!r}: write a number of processes from 1 to {MOST_PROCESSES}, "
        "or the address of a Dask scheduler such as tcp://127.0.0.1:8786"
    )


@dataclass(frozen=True, slots=True)
class Job(Generic[Shared, Batch, Result]):
    """A function of a module, what all its calls share, and one argument a call."""

    work: Callable[[Shared, Batch], Result]
    shared: Shared
    batches: Sequence[Batch]


def run(job: Job[Shared, Batch, Result], workers: Workers) -> Iterator[tuple[int, Result]]:
    """Work all batches and yield each one's number and result as it is done, in no certain order.

    An error of the work itself is raised at once. Raises ScreenerError when the workers of a batch died ATTEMPTS times,
    or when a cluster cannot be reached; UserError when Dask is not installed.
    """
    if workers.address:
        yield from _on_cluster(job, workers.address)
    elif workers.processes == 1 or len(job.batches) < 2:
        with threadpool_limits(1):
            for number, batch in enumerate(job.batches):
                yield number, job.work(job.shared, batch)
    else:
        yield from _on_processes(job, min(workers.processes, len(job.batches)))


_received: list[Any] = []  # in a worker process: the function and what is shared


def _receive(content: bytes) -> None:
    """Take what all batches share; called once in each worker process."""
    _received[:] = pickle.loads(content)


def _call(batch: Any) -> Any:
    work, shared = _received
    with threadpool_limits(1):
        return work(shared, batch)


def _on_processes(job: Job[Shared, Batch, Result], processes: int) -> Iterator[tuple[int, Result]]:
    from concurrent.futures import as_completed

    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    content = pickle.dumps((job.work, job.shared), protocol=pickle.HIGHEST_PROTOCOL)
    left = set(range(len(job.batches)))
    deaths = 0
    while left:
        before = len(left)
        pool = ProcessPoolExecutor(processes, initializer=_receive, initargs=(content,))
        try:
            futures = {pool.submit(_call, job.batches[number]): number for number in sorted(left)}
            for future in as_completed(futures):
                number = futures[future]
                result = future.result()
                left.discard(number)
                yield number, result
        except BrokenProcessPool as error:
            deaths = 1 if len(left) < before else deaths + 1
            if deaths >= ATTEMPTS:
                raise _died(len(left), str(error)) from None
        finally:
            pool.shutdown(wait=True, kill_workers=True)


def _on_cluster(job: Job[Shared, Batch, Result], address: str) -> Iterator[tuple[int, Result]]:
    try:
        import distributed
    except ImportError:
        raise UserError("--workers tcp://… needs Dask: pip install 'screener[dask]'") from None
    make: Any = distributed.Client
    try:
        client: Any = make(address, timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ScreenerError(f"the Dask scheduler at {address} cannot be reached: {error}") from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise ScreenerError(f"the Dask scheduler at {address} has no workers")
        left = set(range(len(job.batches)))
        deaths = 0
        while left:
            before = len(left)
            fault = ""
            for number, result in _round(client, job, sorted(left)):
                if isinstance(result, _Lost):
                    fault = result.reason
                    continue
                left.discard(number)
                yield number, result
            deaths = deaths + 1 if len(left) == before else 0
            if left and deaths >= ATTEMPTS:
                raise _died(len(left), fault)


@dataclass(frozen=True, slots=True)
class _Lost:
    """Why a batch did not come back although nothing was wrong with it."""

    reason: str


def _round(client: Any, job: Job[Shared, Batch, Result], numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Submit some batches once, and yield what comes back; a worker that dies is replaced by another as Dask does."""
    import distributed
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    # each worker has its copy; that one of them dies loses nothing
    shared = client.scatter((job.work, job.shared), broadcast=True, hash=False)
    futures = {
        client.submit(_call_on_cluster, shared, job.batches[number], pure=False, retries=0): number
        for number in numbers
    }
    done: Any = distributed.as_completed
    for future in done(list(futures), loop=client.loop):
        try:
            yield futures[future], future.result()
        except (KilledWorker, FutureCancelledError) as error:
            yield futures[future], _Lost(f"{type(error).__name__}: {error}")
        future.release()


def _call_on_cluster(shared: tuple[Callable[[Any, Any], Any], Any], batch: Any) -> Any:
    work, content = shared
    with threadpool_limits(1):
        return work(content, batch)


def _died(left: int, reason: str) -> ScreenerError:
    first = (reason.strip().splitlines() or ["no reason given"])[0]
    return ScreenerError(
        f"worker processes died {ATTEMPTS} times in a row with {left} batches left, perhaps for want of memory: "
        f"{first[:200]}; what is finished is kept, fewer --workers take less memory"
    )
