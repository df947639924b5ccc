"""Scripts in a Python process of their own: for what a process decides once, or might not survive."""

import os
import subprocess
import sys

# Far more than any script takes: one that hangs shall fail instead of holding up the others.
TIMEOUT = 120


def run_script(script, *args, **environment):
    """What the script printed; `environment` is added to this process's own. Anything on its stderr is a failure."""
    result = subprocess.run(command(script, *args), env=changed(environment), **PIPES, timeout=TIMEOUT)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def fail_script(script, **environment):
    """The last line on stderr of a script that ends in an exception."""
    result = subprocess.run(command(script), env=changed(environment), **PIPES, timeout=TIMEOUT)
    assert result.returncode == 1, result
    return result.stderr.strip().splitlines()[-1]


def start_script(script, *args):
    """The process of a script that is running; for a `with`."""
    return subprocess.Popen(command(script, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


PIPES = {"capture_output": True, "text": True}


def command(script, *args):
    return [sys.executable, "-P", "-c", script, *map(str, args)]


def changed(environment):
    return os.environ | environment
