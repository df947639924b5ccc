"""Print a pip constraint for each package that pyproject.toml gives a lower bound: that very version.

python .ci/lowest_versions.py pyproject.toml
"""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
extras = project["optional-dependencies"]
for requirement in project["dependencies"] + extras["test"] + extras["dask"]:
    if bound := re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", requirement):
        print(f"{bound[1]}=={bound[2]}")
# Newer ones warn of options that the oldest scikit-learn passes to them, and warnings are errors in our tests.
print("scipy<1.16")
