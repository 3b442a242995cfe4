"""What a student's process may not do, so that mistakes do no harm and cheap tricks don't work.

Python's audit hook (PEP 578) sees imports, opened files, started programs. It is a guard, not a
jail: who wants to break out of a Python process will. Grade strangers' code in a container.
"""

import os
import sys
import sysconfig

HERE = os.path.realpath(os.path.dirname(__file__))
TESTS = os.path.dirname(HERE)

SPOILED = 70  # the exit code of a process in which the grading can't go on

# What an exercise is about: to be written, not imported.
LIBRARIES = {"minillm": "this is what you are to write", "grading": "it grades you"}

REFUSED = (
    ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile")
    + ("os.kill", "pty.", "ctypes.", "socket.", "resource.setrlimit", "signal.pthread_kill")
    + ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate")
    + ("os.chmod", "os.chown", "os.utime", "os.setxattr", "shutil.", "tempfile.", "sqlite3.")
    + ("webbrowser.", "winreg.", "_winapi.", "msvcrt.", "mmap.")
)


def limit_resources(memory: int, cpu: int):
    """Memory in bytes and processor seconds, where the system can limit them (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    limits = [(resource.RLIMIT_CPU, cpu), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)]
    if memory_can_be_limited():
        limits.append((resource.RLIMIT_AS, memory))
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(kind, (most, most))


def memory_can_be_limited() -> bool:
    """macOS takes the limit and ignores it; Windows has none."""
    return sys.platform.startswith("linux")


def forbid(folder: str):
    """From here on: NumPy and the standard library alone, no files but theirs and `folder`'s."""
    realpath = os.path.realpath
    numpy = os.path.dirname(os.path.dirname(sys.modules["numpy"].__file__))
    stdlib = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    readable = [realpath(p) for p in (sys.prefix, sys.base_prefix, numpy, *stdlib, folder)]
    devices = {realpath(p) for p in (os.devnull, "/dev/urandom", "/dev/random")}
    library = os.path.join(realpath(numpy), "minillm")  # where it is installed, not checked out
    folder = realpath(folder)

    def inside(path, place):
        return path == place or path.startswith(place.rstrip(os.sep) + os.sep)

    def may_read(path):
        path = realpath(path)
        if path in devices:
            return True
        if inside(path, library):
            return False
        if inside(path, TESTS) and not (inside(folder, TESTS) and inside(path, folder)):
            return False
        return any(inside(path, place) for place in readable)

    def check_import(name):
        top = name.partition(".")[0]
        if top == "numpy" or top in sys.stdlib_module_names:
            return
        if name == top and os.path.isfile(os.path.join(folder, f"{top}.py")):
            return
        why = LIBRARIES.get(top, "an exercise has only NumPy and the standard library")
        raise ImportError(f"{name} can't be imported here ({why}): write it by hand", name=name)

    def check_open(path, mode, flags):
        if not isinstance(path, str | bytes | os.PathLike):  # a descriptor that is open already
            return
        path = os.fsdecode(path)
        writing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writing and realpath(path) not in devices:
            raise PermissionError(f"an exercise writes no files ({path})")
        if not may_read(path):
            raise PermissionError(f"an exercise reads no files ({path})")

    def hook(event, args):
        if event == "import":
            check_import(args[0])
        elif event == "open":
            check_open(*args)
        elif event.startswith(REFUSED):
            raise PermissionError(f"an exercise may not do this ({event})")

    sys.addaudithook(hook)
