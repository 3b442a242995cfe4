"""Two cores, two processes, one gradient.

Threads share the interpreter: where one has Python to run, between two array operations, the other
waits, and waking it takes as long as a small operation itself.  A network of a million parameters
loses a third of its time so.  Processes don't wait for each other until the gradient is complete.

The parameters lie in memory that all processes share, so an update made by one is seen by all.
Each other process is a copy of this one (`fork`), made once: it waits for a job, computes the
gradient of one micro batch, and leaves it in shared memory.  The gradients are added in the order
of the micro batches, so the result is that of the plain loop, to the last bit.
"""

import ctypes
import mmap
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from minillm.nn import Module
from minillm.training.parallel import add_gradients, replicate


def processes_are_possible() -> bool:
    """Whether a process can be copied safely: on Linux."""
    return sys.platform == "linux"


def at_the_same_time(micro_batches: int, device: str) -> dict[str, int]:
    """The Trainer's settings for steps of so many micro batches, computed at the same time.

    By processes where they are possible, else by threads; on a GPU, which is one, by neither.
    """
    way = {"accumulate": micro_batches}
    if device == "cpu" and processes_are_possible():
        return way | {"processes": micro_batches}
    return way if device == "cuda" else way | {"threads": micro_batches}


class ProcessError(RuntimeError):
    """A process that computed micro batches ended, or failed; the message says which."""


class MicroBatchProcesses:
    """Runs `compute(model, *job)` for all jobs and adds up the gradients; on the CPU.

    compute: fills the gradients of the model that it is given, and returns a result.  Job and
    result travel between processes: plain values, arrays, Tensors without history.  What `compute`
    changes elsewhere, it changes in its own process only.
    """

    def __init__(self, model: Module, compute, processes: int):
        self.model, self.compute = model, compute
        self.replica = replicate(model)
        self.parameters, self.twins = list(model.parameters()), list(self.replica.parameters())
        self.blas_limit = threadpool_limits(1, user_api="blas")
        _share(self.parameters, self.twins)
        self.helpers: list[_Helper] = []
        for _ in range(processes - 1):
            self.helpers.append(_Helper(model, compute, [h.pipe for h in self.helpers]))

    def __enter__(self) -> "MicroBatchProcesses":
        return self

    def __exit__(self, *exception) -> None:
        for helper in self.helpers:
            helper.pipe.close()  # which tells it to end
        for helper in self.helpers:
            helper.exit_code()
        self.blas_limit.restore_original_limits()
        for parameter in self.parameters:  # memory of this process alone again
            parameter.data = parameter.data.copy()

    def run(self, jobs: list) -> list:
        """The results in order; the model's gradients are the sums over all jobs."""
        for parameter in self.parameters:
            parameter.grad = None
        results: list = []
        for start in range(0, len(jobs), 1 + len(self.helpers)):
            own, *others = jobs[start : start + 1 + len(self.helpers)]
            working = self.helpers[: len(others)]
            for helper, job in zip(working, others, strict=True):
                helper.send((self.model.training, job))
            results.append(
                _compute(self.compute, self.replica, self.twins, self.model.training, own)
            )
            add_gradients(self.parameters, [twin.grad for twin in self.twins])
            for twin in self.twins:
                twin.grad = None
            for helper in working:
                result, gradients = helper.receive()
                results.append(result)
                add_gradients(self.parameters, gradients, copy=True)
        return results


class _Helper:
    """Another process, the pipe to it, and the memory for its gradients."""

    def __init__(self, model: Module, compute, pipes_of_others):
        self.gradients = [_shared_like(p.data) for p in model.parameters()]
        self.pipe, its_pipe = multiprocessing.Pipe()
        sys.stdout.flush()  # what is still to be written would be written twice
        sys.stderr.flush()
        with warnings.catch_warnings():
            # Python warns of threads at the time of a copy, whose locks could stay locked.  The
            # threads here are those of BLAS, which knows of copies and starts anew.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._exit_code: int | None = None  # of a process that still runs
            parent = os.getpid()
            self.pid = os.fork()
        if self.pid == 0:  # the copy
            try:
                for pipe in (self.pipe, *pipes_of_others):
                    pipe.close()
                _end_with(parent)
                _help(its_pipe, model, compute, self.gradients)
            finally:
                os._exit(0)  # and nothing of what this process does at its end
        its_pipe.close()

    def send(self, message) -> None:
        try:
            self.pipe.send(message)
        except OSError as error:
            raise self._ended() from error

    def receive(self):
        """(result, gradients): an array for each parameter, None where it got none."""
        try:
            failure, result, has_gradient = self.pipe.recv()
        except EOFError as error:
            raise self._ended() from error
        if failure is not None:
            exception, text = failure
            raise exception from ProcessError(f"in the process of another micro batch:\n{text}")
        gradients = zip(self.gradients, has_gradient, strict=True)
        return result, [gradient if has else None for gradient, has in gradients]

    def exit_code(self) -> int:
        """Wait for the process to end; its exit code, or minus the signal that killed it."""
        if self._exit_code is None:
            _, status = os.waitpid(self.pid, 0)
            self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code

    def _ended(self) -> ProcessError:
        code = self.exit_code()
        killed = ": killed, perhaps for lack of memory" if code == -signal.SIGKILL else ""
        return ProcessError(
            f"a process that computed micro batches ended (exit code {code}{killed}). Go on from "
            "the last checkpoint, with processes=1 if it happens again"
        )


def _help(pipe, model, compute, gradients) -> None:
    """The other process: job after job, until the pipe is closed."""
    # Ctrl-C reaches every process of a terminal; what it means is decided by the one that trains.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    parameters = list(model.parameters())
    while True:
        try:
            training, job = pipe.recv()
        except EOFError:
            return
        try:
            result = _compute(compute, model, parameters, training, job)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if parameter.grad is not None:
                    gradient[...] = parameter.grad
            has_gradient = [parameter.grad is not None for parameter in parameters]
            for parameter in parameters:
                parameter.grad = None
            pipe.send((None, result, has_gradient))
        except Exception as error:
            text = traceback.format_exc()
            try:
                pipe.send(((error, text), None, None))
            except (TypeError, AttributeError, pickle.PicklingError):  # it can't travel itself
                pipe.send(((ProcessError(str(error)), text), None, None))


def _compute(compute, model, parameters, training, job):
    if model.training != training:
        model.train(training)
    for parameter in parameters:
        parameter.grad = None
    return compute(model, *job)


def _end_with(parent: int) -> None:
    """Ask Linux to kill this process when its parent dies, even in the middle of a job."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        os._exit(0)


def _share(parameters, twins) -> None:
    """Move the values of parameters (and of their twins) into memory that copies share."""
    for parameter, twin in zip(parameters, twins, strict=True):
        shared = _shared_like(parameter.data)
        shared[...] = parameter.data
        parameter.data = twin.data = shared


def _shared_like(array: np.ndarray) -> np.ndarray:
    memory = mmap.mmap(-1, max(1, array.nbytes))
    return np.frombuffer(memory, array.dtype, count=array.size).reshape(array.shape)
