"""Import of optional dependencies, with errors that name the extra to install."""

from importlib import import_module


def import_extra(module, extra):
    """The module, or an ImportError that says how to install it.

    Parameters
    ----------
    module : str
    extra : {"dask", "keras", "onnx", "plot", "torch"}
        The extra of skcnn that installs the module.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name != package:  # it is installed, but a dependency of it is not
            raise
        raise ImportError(f"this needs {package}: pip install 'skcnn[{extra}]'") from error
