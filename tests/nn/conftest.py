"""Testing a module as the function it is: of its inputs and of all its parameters."""

import numpy as np
import pytest
from op_factory import check_op, normal


@pytest.fixture(scope="session")
def check_module(device):
    """check_module(module, formula, *inputs, call=None, seed=0): put the module to the op factory.

    formula(w, *inputs) computes the same in NumPy; w is {name: array} of the parameters, which are
    drawn anew.  call(module, *inputs) gives the Tensor to look at, `module(*inputs)` by default.
    Everything is varied and differentiated: the float arrays among the inputs, and every parameter.
    """

    def check(module, formula, *inputs, call=None, seed=0, **options):
        call = call or (lambda module, *inputs: module(*inputs))
        names = [name for name, _ in module.named_parameters()]
        generator = np.random.default_rng(seed)
        arrays = [0.7 * generator.standard_normal(p.shape) for p in module.parameters()]

        def op(*arguments):
            place_parameters(module, names, arguments[len(inputs) :])
            return call(module, *arguments[: len(inputs)])

        w = dict(zip(names, arrays, strict=True))
        check_op(op, *inputs, *arrays, device=device, expected=formula(w, *inputs), **options)

    return check


def place_parameters(module, names, tensors):
    """Put plain Tensors where the module's parameters were."""
    for name, tensor in zip(names, tensors, strict=True):
        *path, last = name.split(".")
        owner = module
        for part in path:
            owner = vars(owner)[part]
        vars(owner)[last] = tensor


@pytest.fixture(scope="session")
def randomize(device):
    """randomize(module, seed=0): float64 normal values in all parameters, on the device."""

    def fill(module, seed=0):
        module.to("float64", device)
        module.load_state_dict(
            {n: normal(seed + i, p.shape) for i, (n, p) in enumerate(module.named_parameters())}
        )
        return module

    return fill
