"""Two cores, two Python threads, one gradient.

A small network leaves a second core idle: its matrix products are too short to be shared, and
everything elementwise runs on one core.  So whole micro batches are shared instead: each thread
runs forward and backward on its own micro batch, through its own replica of the model, and the
gradients are added in the order of the micro batches.  That is what gradient accumulation computes
one micro batch after another, so the result is the same to the last bit.

NumPy releases the interpreter lock inside its array operations, which is where the time is spent.
Meanwhile the BLAS library gets one thread: its own would fight with ours for the cores.

processes.py does the same with processes: faster, where they can be had.
"""

import copy
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits

from minillm.nn import Module, Parameter


def replicate(model: Module) -> Module:
    """A Module with the same parameter arrays (not copies) but gradients of its own.

    Parameters that are shared within the model are shared within the replica, too.
    """
    memo = {}
    for parameter in model.parameters():
        twin = Parameter(parameter.data)
        twin.requires_grad_(parameter.requires_grad)
        memo[id(parameter)] = twin
    return copy.deepcopy(model, memo)


class MicroBatches:
    """Runs `compute(model, *job)` for all jobs and adds up the gradients.

    compute: fills the gradients of the model that it is given, and returns a result.
    With one thread this is the plain loop, and nothing else is touched.
    """

    def __init__(self, model: Module, compute, threads: int = 1):
        self.model, self.compute = model, compute
        self.replicas = [replicate(model) for _ in range(threads)]
        self.pool = None
        if threads > 1:
            self.pool = ThreadPoolExecutor(threads, thread_name_prefix="minillm-micro-batch")
            self.blas_limit = threadpool_limits(1, user_api="blas")

    def __enter__(self) -> "MicroBatches":
        return self

    def __exit__(self, *exception) -> None:
        if self.pool is not None:
            self.pool.shutdown()
            self.blas_limit.restore_original_limits()

    def run(self, jobs: list) -> list:
        """The results in order; the model's gradients are the sums over all jobs."""
        run_all = map if self.pool is None else self.pool.map
        self.model.zero_grad()
        results: list = []
        for start in range(0, len(jobs), len(self.replicas)):
            now = jobs[start : start + len(self.replicas)]
            working = self.replicas[: len(now)]
            for replica in working:
                replica.train(self.model.training)
                replica.zero_grad()  # of what a failed run may have left
            results += run_all(lambda replica, job: self.compute(replica, *job), working, now)
            for replica in working:  # in the order of the micro batches, whoever was first
                add_gradients(self.model.parameters(), [p.grad for p in replica.parameters()])
                replica.zero_grad()
        return results


def add_gradients(parameters, gradients: list, copy: bool = False) -> None:
    """Add one array (or None: nothing) to the gradient of each parameter.

    copy: the arrays will be written to again, so none of them may become a gradient itself.
    """
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        if parameter.grad is None:
            parameter.grad = gradient.copy() if copy else gradient
        else:
            parameter.grad += gradient
