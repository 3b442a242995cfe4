"""NumPy or CuPy: the array decides.

Every function of minillm asks the array it was given, `xp = array_module(x)`, and computes with
that library.  There is no global switch: NumPy and CuPy arrays live side by side in one process,
and a transfer happens only where somebody wrote one (`Tensor.to`, `.numpy()`, `.item()`).

What differs between the libraries is gathered in this folder and nowhere else: moving arrays,
random numbers, the error function, adding rows at indices, fusing elementwise chains, and memory.
"""

from minillm.backend.blocks import BLOCK, leading_tiles, row_blocks
from minillm.backend.cpu import Device
from minillm.backend.cuda import CudaDevice
from minillm.backend.fusion import fuse
from minillm.backend.memory import keep_freed_memory
from minillm.backend.operations import (
    add_rows,
    as_dtype,
    buffer_of,
    check_ids,
    erf,
    product,
    sum_runs,
)
from minillm.backend.random_streams import (
    manual_seed,
    random_generator,
    random_state,
    set_random_state,
)
from minillm.backend.registry import (
    array_module,
    device_of,
    get_device,
    is_array,
    is_device_name,
    register_device,
)

keep_freed_memory()
register_device(Device())
register_device(CudaDevice())
