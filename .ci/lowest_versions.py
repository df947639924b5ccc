"""Print a pip constraint for each package that pyproject.toml gives a lower bound: that very version.

python .ci/lowest_versions.py pyproject.toml
"""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
for requirement in project["dependencies"] + project["optional-dependencies"]["test"]:
    if bound := re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement):
        print(f"{bound[1]}=={bound[2]}")
# Newer ones warn of options that the oldest scikit-learn passes to them, and warnings are errors in our tests.
print("scipy<1.16")
