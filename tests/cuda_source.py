"""The CUDA source that CuPy makes of a fused function, and NVRTC to compile it: without a GPU.

CuPy traces a fused function with placeholders for its arrays, so an array's dtype and number of
axes are enough.  `emit` gives it arrays whose memory nobody may touch, takes the kernel that CuPy
would compile at the first call, and asks for its text.  These are CuPy's own, private functions:
another version of it may name them otherwise, and then these tests have to follow.
"""

import ctypes
import ctypes.util
import importlib.util
import os
from pathlib import Path

import numpy as np

ARCHITECTURES = ("sm_80", "sm_90")  # A100, H100


def untouchable(cupy, shape, dtype):
    """An array of CuPy that has a shape and a dtype, and memory at an address that isn't ours."""
    memory = cupy.cuda.UnownedMemory(0x1000, 1, None, device_id=0)
    return cupy.ndarray(shape, dtype, memptr=cupy.cuda.MemoryPointer(memory, 0))


def emit(cupy, function, arguments) -> tuple[str, object]:
    """The text of the kernel for `function(*arguments)`, and the kernel (its dtypes)."""
    from cupy._core import _fusion_thread_local, fusion

    state = _fusion_thread_local.thread_local
    history = fusion._FusionHistory()
    state.history, state.is_old_fusing = history, True
    try:
        kernel, _ = history.get_fusion(function, arguments, function.__name__)
    finally:
        state.history, state.is_old_fusing = None, False
    return _text(cupy, kernel, arguments), kernel


def _text(cupy, kernel, arguments) -> str:
    from cupy._core import _carray, _kernel, _scalar, core

    array, indexer, scalar = 1, 2, 3  # the kinds of arguments, as in CuPy's _kernel.pxd
    dtypes = tuple(a.dtype if isinstance(a, cupy.ndarray) else None for a in arguments)
    in_types, out_types, type_map = kernel._decide_params_type(dtypes, ())
    ndim = max(a.ndim for a in arguments if isinstance(a, cupy.ndarray))
    kinds = [
        _kernel._ArgInfo(scalar, _scalar.CScalar, np.dtype(known), 0, True, True)
        if dtype is None
        else _kernel._ArgInfo(array, cupy.ndarray, dtype, ndim, True, True)
        for dtype, known in zip(dtypes, in_types, strict=True)
    ]
    kinds += [
        _kernel._ArgInfo(array, cupy.ndarray, np.dtype(dtype), ndim, True, True)
        for dtype in out_types
    ]
    kinds.append(_kernel._ArgInfo(indexer, _carray.Indexer, None, ndim, True, True))
    code = _kernel._get_elementwise_kernel_code(
        tuple(kinds), type_map, kernel.params, kernel.operation, kernel.name, kernel.preamble
    )
    return "".join(f"#include <{header}>\n" for header in core._cupy_header_list) + code


# ------------------------------------------------------------------------------------- NVRTC


def load_nvrtc() -> ctypes.CDLL:
    """NVRTC from $MINILLM_NVRTC (its file), the nvidia-cuda-nvrtc package or the system.

    Raises OSError, saying how to get it, if there is none.
    """
    candidates = [os.environ.get("MINILLM_NVRTC")]
    candidates += [str(p) for p in _in_packages("lib/libnvrtc.so.*")]
    candidates += [ctypes.util.find_library("nvrtc"), "libnvrtc.so.13", "libnvrtc.so.12"]
    for candidate in filter(None, candidates):
        try:
            return ctypes.CDLL(candidate)
        except OSError:
            continue
    raise OSError("no NVRTC: pip install nvidia-cuda-nvrtc, or set MINILLM_NVRTC to a libnvrtc.so")


def cuda_headers() -> Path:
    """The folder of cuda_fp16.h, which CuPy's headers include; OSError if there is none."""
    roots = [os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    folders = [Path(root) / "include" for root in roots if root] + _in_packages("include")
    for folder in folders:
        if (folder / "cuda_fp16.h").exists():
            return folder
    raise OSError("no CUDA headers: pip install nvidia-cuda-runtime, or set CUDA_PATH")


def _in_packages(pattern: str) -> list[Path]:
    """Files of NVIDIA's Python packages: site-packages/nvidia/<name>/<pattern>."""
    spec = importlib.util.find_spec("nvidia")
    places = list(spec.submodule_search_locations or []) if spec else []
    return sorted(p for place in places for p in Path(place).glob(f"*/{pattern}"))


def compile_for(nvrtc: ctypes.CDLL, source: str, architecture: str, includes) -> bytes:
    """The machine code (cubin) of `source`; RuntimeError with the compiler's words."""
    program = ctypes.c_void_p()
    options = [f"--gpu-architecture={architecture}", "--std=c++17"]
    options += ["--device-as-default-execution-space", *(f"-I{folder}" for folder in includes)]
    words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    created = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None
    )
    if created:
        raise RuntimeError(f"nvrtcCreateProgram: error {created}")
    try:
        if nvrtc.nvrtcCompileProgram(program, len(options), words):
            raise RuntimeError(_ask(nvrtc, "ProgramLog", program).decode(errors="replace"))
        return _ask(nvrtc, "CUBIN", program)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _ask(nvrtc, what: str, program) -> bytes:
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
    return buffer.raw
