"""Modules that hold modules: one after the other, or in a list."""

from minillm.nn.module import Module


class _Numbered(Module):
    """Children called "0", "1", ...; what `Sequential` and `ModuleList` share."""

    def __len__(self):
        return len(list(self.children()))

    def __iter__(self):
        return self.children()

    def __getitem__(self, index):
        """The child at an index (negative ones count from the end), or a part for a slice."""
        modules = list(self.children())
        if isinstance(index, slice):
            return type(self)._of(modules[index])
        if not -len(modules) <= index < len(modules):
            raise IndexError(f"index {index} into a {type(self).__name__} of {len(modules)}")
        return modules[index]

    def append(self, module: Module) -> "_Numbered":
        """Add a module at the end."""
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__} holds modules, got {type(module).__name__} at place "
                f"{len(self)} (for a function there is a module: nn.ReLU() for F.relu)"
            )
        setattr(self, str(len(self)), module)
        return self


class Sequential(_Numbered):
    """Each module's output is the next one's input.

    Sequential(a, b, c), or Sequential({"first": a, "second": b}) to name them.
    """

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            for name, module in modules[0].items():
                setattr(self, name, module)
        else:
            for module in modules:
                self.append(module)

    @classmethod
    def _of(cls, modules):
        return cls(*modules)

    def forward(self, input):
        for module in self:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list whose modules count as children (those in a plain list would not be found)."""

    def __init__(self, modules=()):
        super().__init__()
        self.extend(modules)

    @classmethod
    def _of(cls, modules):
        return cls(modules)

    def extend(self, modules) -> "ModuleList":
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self
