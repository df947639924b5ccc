"""Scripts in separate Python processes, for choices that are made once per process and for possible crashes."""

import os
import subprocess
import sys

# Seconds, far more than any script takes: one that hangs should fail instead of blocking the others.
TIMEOUT = 120


def run_script(script, *args, timeout=TIMEOUT, **environment):
    """The script's output; `environment` is added to this process's own. Output on stderr is a failure."""
    result = run_command(script, *args, timeout=timeout, **environment)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def run_command(script, *args, timeout=TIMEOUT, **environment):
    """The completed process, however it ended."""
    return subprocess.run(command(script, *args), env=changed(environment), **PIPES, timeout=timeout)


def fail_script(script, **environment):
    """The last line on stderr of a script that ends in an exception."""
    result = run_command(script, **environment)
    assert result.returncode == 1, result
    return result.stderr.strip().splitlines()[-1]


def start_script(script, *args):
    """The process of a running script, for a `with` statement."""
    return subprocess.Popen(command(script, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


PIPES = {"capture_output": True, "text": True}


def command(script, *args):
    return [sys.executable, "-P", "-c", script, *map(str, args)]


def changed(environment):
    return os.environ | environment
