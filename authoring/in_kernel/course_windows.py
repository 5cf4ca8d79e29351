"""Take away from the course's code what Windows lacks.

The standard library of a POSIX system cannot do without it, so most is hidden by
caller: code of the course that imports `os` gets one without `getuid`. Only what no
library needs, `os.fork`, really goes.
"""

import builtins
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

MISSING_MODULES = {
    *("crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd"),
    *("readline", "resource", "spwd", "syslog", "termios", "tty"),
    *("_posixshmem", "_posixsubprocess"),
}
# What these modules have on Windows, on each Python from 3.11; names with a leading
# underscore pass
ON_WINDOWS = {
    "os": """
        DirEntry EX_OK F_OK GenericAlias Mapping MutableMapping O_APPEND O_CREAT
        O_EXCL O_RDONLY O_RDWR O_TRUNC O_WRONLY P_DETACH P_NOWAIT P_NOWAITO P_OVERLAY
        P_WAIT PathLike R_OK SEEK_CUR SEEK_END SEEK_SET TMP_MAX W_OK X_OK abc abort
        access add_dll_directory altsep chdir chmod close closerange cpu_count curdir
        defpath device_encoding devnull dup dup2 environ error execl execle execlp
        execlpe execv execve execvp execvpe extsep fdopen fsdecode fsencode fspath
        fstat fsync ftruncate get_exec_path get_inheritable get_terminal_size getcwd
        getcwdb getenv getlogin getpid getppid isatty kill linesep link listdir lseek
        lstat makedirs mkdir name open pardir path pathsep pipe popen
        process_cpu_count putenv read readinto readlink reload_environ remove
        removedirs rename renames replace rmdir scandir sep set_inheritable spawnl
        spawnle spawnv spawnve st stat stat_result statvfs_result strerror
        supports_bytes_environ supports_dir_fd supports_effective_ids supports_fd
        supports_follow_symlinks symlink sys system terminal_size times times_result
        truncate umask uname_result unlink unsetenv urandom utime waitpid
        waitstatus_to_exitcode walk write""",
    "signal": """
        Handlers NSIG SIGABRT SIGFPE SIGILL SIGINT SIGSEGV SIGTERM SIG_DFL SIG_IGN
        Signals default_int_handler getsignal raise_signal set_wakeup_fd signal
        strsignal valid_signals""",
    "time": """
        altzone asctime ctime daylight get_clock_info gmtime localtime mktime
        monotonic monotonic_ns perf_counter perf_counter_ns process_time
        process_time_ns sleep strftime strptime struct_time thread_time thread_time_ns
        time time_ns timezone tzname""",
    "select": "error select",
}


class AsOnWindows(ModuleType):
    """A module without what Windows lacks of it."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(
            _module=module,
            _names=set(ON_WINDOWS[module.__name__].split()),
            __spec__=module.__spec__,
        )

    def _lacks(self, name: str) -> bool:
        return not name.startswith("_") and name not in self._names

    def __getattr__(self, name: str) -> Any:
        if self._lacks(name):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(self._module, name)
        if name == "__all__":
            return [each for each in value if not self._lacks(each)]
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._module) if not self._lacks(name)]

    def __reduce__(self) -> tuple:
        # cloudpickle sends a module by its name
        return (__import__, (self.__name__,))


_real_import = builtins.__import__
_as_on_windows: dict[str, AsOnWindows] = {}


def _belongs_to_the_course(caller: Mapping[str, Any] | None) -> bool:
    name = (caller or {}).get("__name__") or ""
    if name in ("__main__", "__mp_main__"):
        # Run by `python -m`: it has a specification, and a name of its own
        specification = caller.get("__spec__")
        name = specification.name if specification else "lessons_src"
    return name.partition(".")[0] == "lessons_src"


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Import for the course as on Windows, for all others as it is."""
    course = level == 0 and _belongs_to_the_course(globals)
    top = name.partition(".")[0]
    if course and top in MISSING_MODULES:
        raise ModuleNotFoundError(f"No module named {top!r}", name=top)
    module = _real_import(name, globals, locals, fromlist, level)
    if course and module.__name__ in ON_WINDOWS:
        if module.__name__ not in _as_on_windows:
            _as_on_windows[module.__name__] = AsOnWindows(module)
        return _as_on_windows[module.__name__]
    return module


def hide_what_windows_lacks() -> None:
    """Delete `os.fork` and `os.forkpty`; hide the rest from the course's code."""
    for name in ("fork", "forkpty"):
        if hasattr(os, name):
            delattr(os, name)
    builtins.__import__ = _import
