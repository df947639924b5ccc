"""The door to optional dependencies: what is missing is named, and the extra that brings it."""

from importlib import import_module


def import_extra(module, extra):
    """The module, or an ImportError that says how to get it.

    Parameters
    ----------
    module : str
    extra : {"keras", "onnx", "torch"}
        Of skcnn, that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:  # it is there, but something that it needs is not
            raise
        raise ImportError(f"this needs {module}: pip install 'skcnn[{extra}]'") from error
