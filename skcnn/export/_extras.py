"""Import of optional dependencies, with errors that name the extra to install."""

from importlib import import_module


def import_extra(module, extra):
    """The module, or an ImportError that says how to install it.

    Parameters
    ----------
    module : str
    extra : {"keras", "onnx", "torch"}
        The extra of skcnn that installs the module.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:  # the module is installed, but a dependency of it is not
            raise
        raise ImportError(f"this needs {module}: pip install 'skcnn[{extra}]'") from error
