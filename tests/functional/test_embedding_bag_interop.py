"""embedding_bag against PyTorch's: values and gradients in float64."""

import numpy as np
import pytest
from op_factory import assert_close, get_device, normal

import minillm
from minillm import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.interop


@pytest.mark.parametrize("kind", ["sum", "mean", "weighted", "equal sizes"])
def test_the_same_as_pytorch(device, kind):
    ids, offsets = np.array([3, 1, 3, 0, 2, 3]), np.array([0, 2, 2, 5])  # the second bag is empty
    weight, a = normal(0, (5, 3), (6,))
    mode = "mean" if kind in ("mean", "equal sizes") else "sum"
    leaves = [weight] + ([a] if kind == "weighted" else [])
    ours = [minillm.tensor(x, requires_grad=True, device=device) for x in leaves]
    theirs = [torch.tensor(x, requires_grad=True) for x in leaves]
    if kind == "equal sizes":
        y = F.embedding_bag(minillm.tensor(ids.reshape(2, 3), device=device), *ours)
        z = torch.nn.functional.embedding_bag(torch.tensor(ids.reshape(2, 3)), *theirs)
    else:
        places = (minillm.tensor(x, device=device) for x in (ids, offsets))
        y = F.embedding_bag(next(places), ours[0], next(places), mode, *ours[1:])
        z = torch.nn.functional.embedding_bag(
            torch.tensor(ids),
            theirs[0],
            torch.tensor(offsets),
            mode=mode,
            per_sample_weights=theirs[1] if kind == "weighted" else None,
        )
    assert_close(y.numpy(), z.detach().numpy())
    dy = normal(1, y.shape)
    y.backward(minillm.tensor(dy, device=device))
    z.backward(torch.tensor(dy))
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(get_device(device).to_numpy(mine.grad), other.grad.numpy())
