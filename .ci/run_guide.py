"""Run a guide's Python code that has no prompts (what has them is doctest's), one block after the other.

python .ci/run_guide.py docs/guide/export.md
"""

import re
import sys
from pathlib import Path

guide = Path(sys.argv[1])
names = {}
for block in re.finditer(r"^```python\n(.*?)^```", guide.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
    if not block[1].startswith(">>>"):
        line = guide.read_text(encoding="utf-8")[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], str(guide), "exec"), names)
