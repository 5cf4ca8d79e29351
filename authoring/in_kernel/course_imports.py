"""Change a module as soon as, and only if, somebody imports it."""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class AfterImport:
    """A finder that lets the others find, and acts once the module has run."""

    def __init__(self) -> None:
        self.actions: dict[str, Callable[[ModuleType], None]] = {}

    def find_spec(self, name: str, *where: Any) -> ModuleSpec | None:
        """Find the module `name` for which there is something to do."""
        action = self.actions.pop(name, None)
        if not action:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, *where) for finder in others)
        spec = next(filter(None, found), None)
        if spec and spec.loader:
            _act_after_running(spec.loader, action)
        return spec


def _act_after_running(loader: Any, action: Callable[[ModuleType], None]) -> None:
    run = loader.exec_module

    def run_and_act(module: ModuleType) -> None:
        run(module)
        action(module)

    loader.exec_module = run_and_act


_finder = AfterImport()


def after_import(name: str, action: Callable[[ModuleType], None]) -> None:
    """Call `action` with the module `name` once it has been imported."""
    if name in sys.modules:
        action(sys.modules[name])
        return
    _finder.actions[name] = action
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
