"""Looking rows up in a table."""

from minillm.autograd import differentiable
from minillm.backend import add_rows, array_module, check_ids


@differentiable
def embedding(input, weight, padding_idx=None):
    """y[...] = weight[input[...]].  input: integer ids (...), weight (V, D) -> y (..., D).

    It is the product of a one-hot matrix with `weight`, without the zeros: row v of the gradient
    is the sum of dy over all places where id v stood.  Row `padding_idx` gets none.
    Raises IndexError for an id outside 0..V-1, TypeError for ids that are not integers.
    """
    if input.dtype.kind not in "iu":
        raise TypeError(f"embedding: ids must be integers, got {input.dtype}")
    check_ids(input, len(weight), "embedding")
    xp = array_module(weight)

    def backward(dy):
        dweight = xp.zeros(weight.shape, dy.dtype)
        add_rows(dweight, input.reshape(-1), dy.reshape(-1, weight.shape[1]))
        if padding_idx is not None:
            dweight[padding_idx] = 0
        return None, dweight

    return weight[input], backward
